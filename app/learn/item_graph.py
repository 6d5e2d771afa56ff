"""Learning the item graph: BSPM (Choi et al., SIGIR 2023) with its operators multiplied out beforehand.

With R̃ = D_u^(-1/2) R D_i^(-1/2) of users' products R and P = R̃ᵀR̃, BSPM gives a user's row r the scores

    (r P + β r D_i^(-1/2) V Vᵀ D_i^(1/2)) · s(P),  s(λ) = 1 - hλ + (hλ)²/2 - (hλ)³/6 + (hλ)⁴/24,

V being the first f eigenvectors of P, λ its eigenvalues. Both terms are linear in r, so that their operators can be
learned once. P · s(P) is as dense as the shop is large; here the sharpening s is worked out for the first f
eigenvalues, and is taken for the others, all of which are smaller, to be what it is at the last of them, s_f:

    P · s(P) ≈ s_f P + V (Λ s(Λ) - s_f Λ) Vᵀ,

a sparse matrix and a dense one of low rank.
"""

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files
from app.core.settings import Settings
from app.learn.row_batches import by_workers
from app.learn.tables import Tables
from app.serve.generators.item_graph import ItemGraph
from app.serve.ragged import Ragged
from app.serve.sparse import load_rows, only_columns, save_rows, strongest_per_row

USER_PRODUCTS = 1_000  #: of a user, those rated best: a crawler must not cost more than a thousand others
ORDER = 4  #: of the sharpening
OVERSAMPLING, ITERATIONS = 64, 6  #: columns more than the eigenvectors wanted, and times that they are refined


def fit_item_graph(tables: Tables, settings: Settings) -> ItemGraph:
    """Operators by position."""
    users = user_rows(tables, USER_PRODUCTS)
    degrees = np.maximum(np.bincount(users.indices, minlength=users.shape[1]), 1)
    roots = np.sqrt(degrees).astype(np.float32)[:, None]
    scaled = scaled_rows(users, degrees)
    values, vectors = first_eigenvectors(scaled, settings.item_graph_factors, settings.seed)
    sharp = sharpening(values, settings.item_graph_sharpness)
    low_pass = sharpened(scaled, vectors * roots, settings.item_graph_sharpness)
    beyond = float(sharp[-1])
    inward = np.hstack([vectors, settings.item_graph_low_pass * vectors / roots])
    outward = np.hstack([vectors * (values * (sharp - beyond)).astype(np.float32), low_pass])
    return ItemGraph(beyond * edges(tables, scaled, settings.item_graph_width), inward, outward)


def user_rows(tables: Tables, most: int) -> csr_matrix:
    """R (u, p): 1 where a user has a product, of each user at most so many."""
    folder, interactions = tables.folder / "item_graph", tables.interactions
    folder.mkdir()

    def work(part: Part) -> None:
        part.write("users", user_products(part.read(interactions), most))

    by_part(tables.spark, len(part_files(interactions)), work, folder)
    lists = pq.read_table(folder / "users")["product_ids"].combine_chunks()
    items = tables.catalogue.positions(lists.flatten().to_numpy())
    shape = (len(lists), len(tables.catalogue))
    return csr_matrix((np.ones(len(items), np.float32), items, Ragged.of_lists(lists).offsets), shape)


def user_products(interactions: Relation, most: int) -> Relation:
    """The products of each user.

    Parameters
    ----------
    interactions
        user_id, product_id, rating; all rows of a user.
    most
        The best rated that are kept of a user.

    Returns
    -------
    Relation
        user_id, product_ids (array of long), ordered by user.
    """
    return query(
        f"""
        select user_id, list(product_id order by product_id) as product_ids
        from (
            from interactions
            qualify row_number() over (partition by user_id order by rating desc, product_id) <= {most}
        )
        group by user_id
        """,
        interactions=interactions,
    ).order("user_id")


def scaled_rows(users: csr_matrix, degrees: NDArray[np.int64]) -> csr_matrix:
    """R̃ (u, p) float32."""
    return csr_matrix(diags(np.diff(users.indptr) ** -0.5) @ users @ diags(degrees**-0.5), dtype=np.float32)


def first_eigenvectors(scaled: csr_matrix, factors: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest eigenvalues (f,) of P, descending, and their vectors (p, f).

    By subspace iteration from random columns (Halko, Martinsson, Tropp, "Finding Structure with Randomness", 2011),
    which multiplies many columns at once; ARPACK, one at a time, took ten times as long.
    """
    products = scaled.shape[1]
    width = factors + OVERSAMPLING
    if width >= products:
        basis = np.eye(products, dtype=np.float32)
    else:
        basis = np.random.default_rng(seed).standard_normal((products, width)).astype(np.float32)
        for _ in range(ITERATIONS):
            basis = np.linalg.qr(scaled.T @ (scaled @ basis))[0]
    image = scaled @ basis
    values, vectors = np.linalg.eigh((image.T @ image).astype(np.float64))
    first = np.argsort(-values, kind="stable")[:factors]
    return np.maximum(values[first], 0).astype(np.float32), basis @ vectors[:, first].astype(np.float32)


def sharpening(values: NDArray[np.float32], sharpness: float) -> NDArray[np.float32]:
    """s(λ) of eigenvalues (f,)."""
    total = term = np.ones_like(values)
    for power in range(1, ORDER + 1):
        term = -(sharpness / power) * values * term
        total = total + term
    return total


def sharpened(scaled: csr_matrix, columns: NDArray[np.float32], sharpness: float) -> NDArray[np.float32]:
    """Columns (p, f) times s(P)."""
    total = term = columns
    for power in range(1, ORDER + 1):
        term = np.float32(-sharpness / power) * (scaled.T @ (scaled @ term))
        total = total + term
    return total


def edges(tables: Tables, scaled: csr_matrix, width: int) -> csr_matrix:
    """P (p, p), each row cut to its largest values.

    Only products that are available are in the result; the others take nobody's place in it.
    """
    folder, products = tables.folder / "item_graph", scaled.shape[1]
    save_rows(folder, "scaled", scaled)
    save_rows(folder, "by_product", csr_matrix(scaled.T))
    users, available = scaled.shape[0], tables.catalogue.available

    def work(rows: NDArray[np.int64]) -> csr_matrix:
        of_users, of_products = load_rows(folder, "scaled", products), load_rows(folder, "by_product", users)
        return strongest_per_row(only_columns(csr_matrix(of_products[rows] @ of_users), available), width)

    return by_workers(tables.spark, products, work, folder / "edges")
