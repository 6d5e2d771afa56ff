"""Learning the session walk: sums over sessions in Spark, two linear models of them, and walks through both.

The models are those of SLIST (Choi et al., WWW 2021), the walks those of S-Walk (Choi et al., WSDM 2022); where the
papers invert a matrix of products by products, `app.learn.local_ridge` solves a small system for each product.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy.sparse import coo_matrix, csr_matrix, diags

from app.core.settings import Settings
from app.features.sessions import TOUCH_SCHEMA
from app.learn.best import best_of_each
from app.learn.local_ridge import local_ridge
from app.learn.tables import Tables
from app.learn.walks import restarts, scaled_rows, walks
from app.serve.generators.session_walk import SessionWalk
from app.serve.sparse import canonical_rows, strongest_per_row

SECONDS_PER_DAY = 86_400
PAIRS = 300  #: strongest pairs kept of a product: a small system asks for those between its neighbours as well


@dataclass(frozen=True)
class SessionSums:
    """Sums over sessions, w being a session's weight and L the number of its products.

    `gram` (p, p): Σ w / L² over the sessions that have both products; `shared` (p, p): Σ w / L;
    `follows` (p, p): Σ w · exp(-(gap - 1) / decay) over those where the second comes after the first;
    `starts` (p,): Σ w over those where something comes after the product.
    """

    gram: csr_matrix
    shared: csr_matrix
    follows: csr_matrix
    starts: NDArray[np.float64]


def fit_session_walk(tables: Tables, settings: Settings) -> SessionWalk:
    """Walks by position."""
    sums = session_sums(tables, settings)
    spark, folder = tables.spark, tables.folder / "session_walk"
    alike = local_ridge(
        spark, sums.gram, sums.shared, settings.session_walk_ridge, settings.session_walk_neighbours, folder
    )
    follows = diags(1 / (sums.starts + settings.session_walk_ridge)) @ sums.follows
    ends = walks(
        spark,
        scaled_rows(strongest_per_row(csr_matrix(follows), settings.session_walk_width)),
        restarts(scaled_rows(alike), settings.session_walk_alike),
        settings.session_walk_onward,
        settings.session_walk_width,
        tables.catalogue.available,
        folder,
    )
    return SessionWalk(ends, settings.session_walk_decay)


def session_sums(tables: Tables, settings: Settings) -> SessionSums:
    """The sums by position, by way of the disk."""
    touches = tables.spark.read.schema(TOUCH_SCHEMA).parquet(str(tables.touches))
    weighted = weighted_sessions(touches, settings.session_walk_days)
    folder, n = tables.folder / "session_walk", len(tables.catalogue)
    pair_sums(weighted, settings.session_walk_gap, PAIRS).write.mode("overwrite").parquet(str(folder / "pairs"))
    product_sums(weighted).write.mode("overwrite").parquet(str(folder / "products"))
    pairs, products = pq.read_table(folder / "pairs"), pq.read_table(folder / "products")
    rows = tables.catalogue.positions(pairs["product_id"].to_numpy())
    columns = tables.catalogue.positions(pairs["other_id"].to_numpy())
    own = tables.catalogue.positions(products["product_id"].to_numpy())
    starts = np.zeros(n)
    starts[own] = products["starts"].to_numpy()

    def matrix(name: str, diagonal: NDArray[np.float64] | None = None) -> csr_matrix:
        values, diagonal = pairs[name].to_numpy(), np.zeros(len(own)) if diagonal is None else diagonal
        both = (np.concatenate([rows, own]), np.concatenate([columns, own]))
        return csr_matrix(coo_matrix((np.concatenate([values, diagonal]), both), shape=(n, n)))

    gram, shared = (matrix(name, products[name].to_numpy()) for name in ("gram", "shared"))
    return SessionSums(gram, shared, canonical_rows(matrix("follows")), starts)


def weighted_sessions(touches: DataFrame, days: float) -> DataFrame:
    """Sessions with what they count.

    Parameters
    ----------
    touches
        product_ids, weights, times: arrays of equal length, oldest first; times are null where a log has none.
    days
        Age, counted from the latest session, at which a session counts 1/e.

    Returns
    -------
    DataFrame
        products (array of struct of product_id and its place), length (of it), w: exp(-age / days), 1 without times.
    """
    zipped = F.arrays_zip(F.col("product_ids").alias("id"), F.col("weights").alias("weight"))
    # What was only removed from the cart is no interest.
    kept = F.filter(zipped, lambda touch: touch.getField("weight") > 0)
    products = F.transform(
        kept, lambda touch, place: F.struct(touch.getField("id").alias("product_id"), place.alias("place"))
    )
    ended = F.element_at("times", -1)
    latest = touches.agg(F.max(ended)).first()
    age = (F.lit(latest[0] if latest else None).cast("double") - ended) / (SECONDS_PER_DAY * days)
    return (
        touches.select(products.alias("products"), F.coalesce(F.exp(-age), F.lit(1.0)).alias("w"))
        .withColumn("length", F.size("products"))
        .where(F.col("length") > 0)
    )


def product_sums(sessions: DataFrame) -> DataFrame:
    """Sums of each product alone.

    Parameters
    ----------
    sessions
        From `weighted_sessions`.

    Returns
    -------
    DataFrame
        product_id, gram, shared, starts: see `SessionSums`.
    """
    one = sessions.select("w", "length", F.explode("products").alias("a"))
    onward = F.when(F.col("a.place") < F.col("length") - 1, F.col("w")).otherwise(0.0)
    return one.groupBy(F.col("a.product_id").alias("product_id")).agg(
        *_similarity_sums(), _rounded_sum(onward).alias("starts")
    )


def pair_sums(sessions: DataFrame, gap_decay: float, kept: int) -> DataFrame:
    """Sums of each two products that are in one session.

    Parameters
    ----------
    sessions
        From `weighted_sessions`.
    gap_decay
        A product that comes n places after another follows it by exp(-(n - 1) / gap_decay).
    kept
        Pairs kept of each product, those shared most.

    Returns
    -------
    DataFrame
        product_id, other_id, gram, shared, follows (other_id after product_id): see `SessionSums`.
    """
    first = sessions.where("length > 1").select("products", "w", "length", F.explode("products").alias("a"))
    later = F.filter("products", lambda product: product.getField("place") > F.col("a.place"))
    pairs = first.select("w", "length", "a", F.explode(later).alias("b"))
    gap = F.col("b.place") - F.col("a.place")
    follows = F.col("w") * F.exp(-(gap - 1) / F.lit(gap_decay))
    forward = F.col("a.product_id") < F.col("b.product_id")
    # Each unordered pair once: the other half is its mirror, added after the sum.
    sums = pairs.groupBy(
        F.least("a.product_id", "b.product_id").alias("low"), F.greatest("a.product_id", "b.product_id").alias("high")
    ).agg(
        *_similarity_sums(),
        _rounded_sum(F.when(forward, follows).otherwise(0.0)).alias("onward"),
        _rounded_sum(F.when(forward, 0.0).otherwise(follows)).alias("back"),
    )
    sides = _side(sums, "low", "high", "onward").unionByName(_side(sums, "high", "low", "back"))
    return best_of_each(sides, ["product_id"], [F.desc("shared"), "other_id"], kept)


def _similarity_sums() -> tuple[Column, Column]:
    w, length = F.col("w"), F.col("length")
    return _rounded_sum(w / (length * length)).alias("gram"), _rounded_sum(w / length).alias("shared")


def _rounded_sum(value: Column) -> Column:
    """Rounded so that it does not depend on the order of the rows."""
    return F.round(F.sum(value), 9)


def _side(sums: DataFrame, product: str, other: str, follows: str) -> DataFrame:
    return sums.select(
        F.col(product).alias("product_id"),
        F.col(other).alias("other_id"),
        "gram",
        "shared",
        F.col(follows).alias("follows"),
    )
