"""Learning the item graph: BSPM (Choi et al., SIGIR 2023) with its operators multiplied out beforehand.

With R̃ = D_u^(-1/2) R D_i^(-1/2) of users' products R and P = R̃ᵀR̃, BSPM gives a user's row r the scores

    (r P + β r D_i^(-1/2) V Vᵀ D_i^(1/2)) · sharpening,  sharpening = I - hP + (hP)²/2 - (hP)³/6 + (hP)⁴/24,

V being the first eigenvectors of P. Both terms are linear in r, so that their operators are learned once.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import eigsh

from app.core.settings import Settings
from app.core.spark import stored
from app.learn.best import best_of_each
from app.learn.row_batches import by_workers
from app.learn.tables import Tables
from app.serve.generators.item_graph import ItemGraph
from app.serve.sparse import canonical_rows, largest_per_row, load_rows, only_columns, save_rows

USER_PRODUCTS = 1_000  #: of a user, those rated best: a crawler must not cost more than a thousand others
ORDER = 4  #: of the sharpening


def fit_item_graph(tables: Tables, settings: Settings) -> ItemGraph:
    """Operators by position."""
    graph, degrees = item_graph(tables, settings.item_graph_neighbours)
    sharpness = settings.item_graph_sharpness
    roots = np.sqrt(np.maximum(degrees, 1.0))
    vectors = low_pass(graph, settings.item_graph_factors, settings.seed)
    spark, folder = tables.spark, tables.folder / "item_graph"
    near = sharpened_rows(spark, graph, sharpness, settings.item_graph_width, tables.catalogue.available, folder)
    inward = settings.item_graph_low_pass * vectors / roots[:, None]
    outward = sharpened(graph, vectors * roots[:, None], sharpness)
    return ItemGraph(near, inward.astype(np.float32), outward.astype(np.float32))


def item_graph(tables: Tables, neighbours: int) -> tuple[csr_matrix, NDArray[np.float64]]:
    """P (p, p) by position, cut to each product's strongest neighbours, and the users of each product (p,)."""
    spark, folder, n = tables.spark, tables.folder / "item_graph", len(tables.catalogue)
    users = stored(user_products(spark.read.parquet(str(tables.interactions)), USER_PRODUCTS), folder / "users")
    degrees = stored(product_degrees(users), folder / "products")
    edges(users, degrees, neighbours).write.parquet(str(folder / "edges"))
    products, pairs = pq.read_table(folder / "products"), pq.read_table(folder / "edges")
    own = tables.catalogue.positions(products["product_id"].to_numpy())
    counts = np.zeros(n)
    counts[own] = products["users"].to_numpy()
    rows = tables.catalogue.positions(pairs["product_id"].to_numpy())
    columns = tables.catalogue.positions(pairs["other_id"].to_numpy())
    half = csr_matrix(coo_matrix((pairs["weight"].to_numpy(), (rows, columns)), shape=(n, n)))
    loops = coo_matrix((products["weight"].to_numpy(), (own, own)), shape=(n, n))
    # A pair stays if it is among the strongest of either product, so that the matrix stays symmetric.
    return canonical_rows(half.maximum(half.T) + loops), counts


def user_products(rated: DataFrame, most: int) -> DataFrame:
    """The products of each user.

    Parameters
    ----------
    rated
        user_id, product_id, rating.
    most
        The best rated that are kept of a user.

    Returns
    -------
    DataFrame
        products (array of long, sorted), w: 1 / their number, what each pair of them adds to the graph.
    """
    best = F.slice(F.sort_array(F.collect_list(F.struct("rating", "product_id")), asc=False), 1, most)
    return (
        rated.groupBy("user_id")
        .agg(F.array_sort(best.getField("product_id")).alias("products"))
        .select("products", (1.0 / F.size("products")).alias("w"))
    )


def product_degrees(users: DataFrame) -> DataFrame:
    """product_id, users (how many have it), weight (its diagonal entry of P); `users` from `user_products`."""
    return (
        users.select("w", F.explode("products").alias("product_id"))
        .groupBy("product_id")
        .agg(F.count("*").alias("users"), F.sum("w").alias("sum"))
        .select("product_id", "users", F.round(F.col("sum") / F.col("users"), 9).alias("weight"))
    )


def edges(users: DataFrame, degrees: DataFrame, neighbours: int) -> DataFrame:
    """The strongest edges of each product in the graph.

    Parameters
    ----------
    users
        From `user_products`.
    degrees
        From `product_degrees`.
    neighbours
        Edges kept of each product.

    Returns
    -------
    DataFrame
        product_id, other_id, weight: Σ w over the users that have both / √(users of one · users of the other).
    """
    one = users.select("products", "w", F.explode("products").alias("low"))
    later = F.filter("products", lambda product: product > F.col("low"))
    sums = one.select("w", "low", F.explode(later).alias("high")).groupBy("low", "high").agg(F.sum("w").alias("sum"))
    low, high = (
        F.broadcast(degrees.select(F.col("product_id").alias(side), F.col("users").alias(f"{side}_users")))
        for side in ("low", "high")
    )
    weight = F.round(F.col("sum") / F.sqrt(F.col("low_users") * F.col("high_users")), 9)
    scaled = sums.join(low, "low", how="inner").join(high, "high", how="inner").withColumn("weight", weight)
    sides = scaled.select(F.col("low").alias("product_id"), F.col("high").alias("other_id"), "weight").unionByName(
        scaled.select(F.col("high").alias("product_id"), F.col("low").alias("other_id"), "weight")
    )
    return best_of_each(sides, ["product_id"], [F.desc("weight"), "other_id"], neighbours)


def low_pass(graph: csr_matrix, factors: int, seed: int) -> NDArray[np.float64]:
    """The first eigenvectors (p, f) of the graph; all of them where there are fewer."""
    n = graph.shape[0]
    if factors >= n - 1:
        return np.linalg.eigh(graph.toarray())[1]
    start = np.random.default_rng(seed).random(n)
    return np.asarray(eigsh(graph, k=factors, which="LA", v0=start, tol=1e-4)[1])


def sharpened(graph: csr_matrix, columns: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    """Columns (p, f) times the sharpening, the polynomial of the symmetric graph."""
    total, term = columns.copy(), columns
    for power in range(1, ORDER + 1):
        term = -(sharpness / power) * (graph @ term)
        total += term
    return total


def sharpened_rows(
    spark: SparkSession,
    graph: csr_matrix,
    sharpness: float,
    width: int,
    available: NDArray[np.bool_] | None,
    folder: Path,
) -> csr_matrix:
    """The graph times the sharpening, each row cut after each step to its `width` values farthest from 0.

    Only products that are `available` (p,), all if None, are in the result; the others take nobody's place in it.
    """
    save_rows(folder, "graph", graph)
    n = graph.shape[0]

    def sharpen(rows: NDArray[np.int64]) -> csr_matrix:
        edges = load_rows(folder, "graph", n)
        total = term = largest_per_row(edges[rows], width)
        for power in range(1, ORDER + 1):
            term = largest_per_row(csr_matrix(-(sharpness / power) * (term @ edges)), width)
            total = total + term
        return largest_per_row(only_columns(total, available), width)

    return by_workers(spark, n, sharpen, folder / "near")
