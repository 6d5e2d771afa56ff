"""Learning the item graph: BSPM (Choi et al., SIGIR 2023) with its operators multiplied out beforehand.

With R̃ = D_u^(-1/2) R D_i^(-1/2) of users' products R and P = R̃ᵀR̃, BSPM gives a user's row r the scores

    (r P + β r D_i^(-1/2) V Vᵀ D_i^(1/2)) · s(P),  s(λ) = 1 - hλ + (hλ)²/2 - (hλ)³/6 + (hλ)⁴/24,

V being the first f eigenvectors of P, λ its eigenvalues. Both terms are linear in r, so that their operators can be
learned once. P · s(P) is as dense as the shop is large; here the sharpening s is worked out for the first f
eigenvalues, and is taken for the others, all of which are smaller, to be what it is at the last of them, s_f:

    P · s(P) ≈ s_f P + V (Λ s(Λ) - s_f Λ) Vᵀ,

a sparse matrix and a dense one of low rank. Of the low pass, V Vᵀ D_i^(1/2) · s(P), s is exact for the first f, and for
the others a straight line from s_f to s(0) = 1.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.sparse import csr_matrix, diags

from app.core.duck import Relation, query
from app.core.parts import part_files
from app.core.settings import Settings
from app.learn.part_rows import PartRows
from app.learn.row_batches import CUT, Rows, Work, by_workers
from app.learn.row_products import strongest_of_product
from app.learn.tables import Tables
from app.serve.generators.item_graph import ItemGraph
from app.serve.sparse import only_columns

USER_PRODUCTS = 1_000  #: of a user, those rated best: a crawler must not cost more than a thousand others
ORDER = 4  #: of the sharpening
USERS, COLUMNS = 20_000, 32  #: that a thread takes at a time: what it reads and adds to stays near the processor
OVERSAMPLING = 64  #: columns more than the eigenvectors wanted
DEGREE = 3  #: of the Chebyshev polynomial
LEAST = 0.01  #: where it starts to grow at the least, as a share of the largest eigenvalue


@dataclass(frozen=True)
class Graph:
    """P, never made whole: A = D_u^(-1/2) R of the users, and `scale` = D_i^(-1/2) (p, 1)."""

    users: PartRows
    scale: NDArray[np.float32]

    def __matmul__(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """P times columns (p, f)."""
        rows, product = self.users.rows(), np.empty_like(columns)
        blocks = [rows[start : start + USERS] for start in range(0, rows.shape[0], USERS)]

        def of_columns(start: int) -> NDArray[np.float32]:
            few = self.scale * columns[:, start : start + COLUMNS]
            total = np.zeros_like(few)
            for users in blocks:
                total += users.T @ (users @ few)
            return self.scale * total

        starts = range(0, columns.shape[1], COLUMNS)
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # scipy's products hold no lock
            for start, part in zip(starts, threads.map(of_columns, starts), strict=True):
                product[:, start : start + COLUMNS] = part
        return product


def fit_item_graph(tables: Tables, settings: Settings) -> ItemGraph:
    """Operators by position."""
    interactions, folder = tables.interactions, tables.folder / "item_graph"
    folder.mkdir()
    users = PartRows.write(
        tables.spark,
        len(part_files(interactions)),
        lambda part: user_products(part.read(interactions), USER_PRODUCTS),
        tables.catalogue.product_ids,
        folder / "users",
    )
    roots = np.sqrt(np.maximum(users.counts(), 1))[:, None].astype(np.float32)
    graph = Graph(users, np.reciprocal(roots))
    values, vectors = first_eigenvectors(graph, settings.item_graph_factors, settings.seed)
    sharp = sharpening(values, settings.item_graph_sharpness)
    beyond = sharp[-1]
    low_pass = sharpened(graph, vectors, values, roots * vectors, settings.item_graph_sharpness)
    inward = np.hstack([vectors, settings.item_graph_low_pass * vectors / roots])
    outward = np.hstack([vectors * values * (sharp - beyond), low_pass])
    work = edges(graph, tables.catalogue.available, settings.item_graph_width)
    near = by_workers(tables.spark, users.products, work, folder / "edges", parts=users.parts, chunk=CUT)
    return ItemGraph(float(beyond) * near, inward, outward)


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
        product_ids (array of long), values (array of float: 1 / √(their number)), in the order of users.
    """
    return query(
        f"""
        select user_id, list_sort(list(product_id)) as product_ids,
            list((1 / sqrt(products))::float) as values
        from (
            select user_id, product_id, least(count(*) over (partition by user_id), {most}) as products
            from interactions
            qualify row_number() over (partition by user_id order by rating desc, product_id) <= {most}
        )
        group by user_id
        """,
        interactions=interactions,
    ).order("user_id")


def first_eigenvectors(graph: Graph, factors: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest eigenvalues (f,) of P, descending, and their vectors (p, f).

    By subspace iteration from random columns (Halko, Martinsson, Tropp, "Finding Structure with Randomness", 2011), in
    its second turn with a Chebyshev polynomial in place of a power of P (Zhou, Saad, Tiago, Chelikowsky,
    "Self-consistent-field calculations using Chebyshev-filtered subspace iteration", 2006).
    """
    products = graph.users.products
    width = factors + OVERSAMPLING
    if width >= products:
        basis = np.eye(products, dtype=np.float32)
    else:
        basis = np.random.default_rng(seed).standard_normal((products, width)).astype(np.float32)
        basis = _orthonormal(graph @ basis)
        basis = _orthonormal(filtered(graph, basis))
    values, vectors = np.linalg.eigh((basis.T @ (graph @ basis)).astype(np.float64))
    first = np.argsort(-values, kind="stable")[:factors]
    return np.maximum(values[first], 0).astype(np.float32), basis @ vectors[:, first].astype(np.float32)


def filtered(graph: Graph, basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """An orthonormal basis (p, f), times the Chebyshev polynomial of P that is at most 1 up to where the basis ends.

    Where that is, the smallest eigenvalue of P in the basis tells. Beyond, the polynomial grows much faster than the
    power of the same degree, so that what belongs to smaller eigenvalues is damped all the more.
    """
    image = graph @ basis
    values = np.linalg.eigvalsh((basis.T @ image).astype(np.float64))
    end = np.float32(max(values[0], LEAST * values[-1]) or 1)
    before, now = basis, 2 / end * image - basis
    for _ in range(DEGREE - 1):
        after = graph @ now  # and the rest in place: each array more costs as much as a quarter of a product
        after *= 4 / end
        after -= 2 * now
        after -= before
        before, now = now, after
    return now


def _orthonormal(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    basis = qr(columns, mode="economic", check_finite=False)[0]  # numpy's takes three times as long
    return np.ascontiguousarray(basis)


def sharpening(values: NDArray[np.float32], sharpness: float) -> NDArray[np.float32]:
    """s(λ) of eigenvalues (f,)."""
    total = term = np.ones_like(values)
    for power in range(1, ORDER + 1):
        term = -(sharpness / power) * values * term
        total = total + term
    return total


def sharpened(
    graph: Graph,
    vectors: NDArray[np.float32],
    values: NDArray[np.float32],
    columns: NDArray[np.float32],
    sharpness: float,
) -> NDArray[np.float32]:
    """s(P) times columns (p, n), with s a straight line from 0 to the last of the first eigenvalues (f,).

    As a series in P it took four products in place of one.
    """
    sharp, last = sharpening(values, sharpness), values[-1]
    slope = (sharp[-1] - 1) / last if last > 0 else np.float32(0)
    rest = (sharp - 1 - slope * values)[:, None] * (vectors.T @ columns)
    product = graph @ columns
    product *= slope
    product += columns
    product += vectors @ rest
    return product


def edges(graph: Graph, available: NDArray[np.bool_] | None, width: int) -> Work:
    """What gives the rows of P (m, p) of some products, each cut to its largest values.

    Only products that are available are in the result; the others take nobody's place in it.
    """

    def work() -> Rows:
        scaled = graph.users.rows() @ diags(graph.scale[:, 0])
        users = only_columns(csr_matrix(scaled), available)

        def rows(products: NDArray[np.int64]) -> csr_matrix:
            mine = csr_matrix(diags(graph.scale[products, 0]) @ graph.users.columns(products))
            return strongest_of_product(mine, users, width)

        return rows

    return work
