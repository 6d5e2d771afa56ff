"""Learning co-visitation: the most similar products of each product, from sessions."""

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.learn.best import best_of_each
from app.learn.tables import Tables
from app.serve.contract import top_per_row
from app.serve.generators.covisitation import CoVisitation

SHRINKAGE = 5.0  #: sessions added to the denominator


def fit_covisitation(tables: Tables, settings: Settings) -> CoVisitation:
    """Neighbours by position."""
    path = tables.folder / "covisitation"
    n = settings.covisitation_neighbours
    similar_products(tables.touches, n).write.mode("overwrite").parquet(str(path))
    table = pq.read_table(path)
    rows = tables.catalogue.positions(table["product_id"].to_numpy())
    items = tables.catalogue.positions(table["other_id"].to_numpy())
    similarity = table["similarity"].to_numpy()
    if tables.catalogue.available is not None:  # what may not be recommended takes nobody's place
        there = tables.catalogue.available[items]
        rows, items, similarity = rows[there], items[there], similarity[there]
    best = top_per_row(rows, items, similarity, len(tables.catalogue), n)
    return CoVisitation(best.items, best.scores)


def similar_products(touches: DataFrame, neighbours: int) -> DataFrame:
    """The most similar products of each product.

    Parameters
    ----------
    touches
        product_ids (array of distinct products of a session), weights (array of float).
    neighbours
        How many are kept.

    Returns
    -------
    DataFrame
        product_id, other_id, similarity (0..1).
    """
    zipped = F.arrays_zip(F.col("product_ids").alias("id"), F.col("weights").alias("weight"))
    norms = (
        touches.select(F.explode(zipped).alias("entry"))
        .groupBy(F.col("entry.id").alias("product_id"))
        .agg(F.sum(F.col("entry.weight")).alias("norm"))
    )
    several = touches.where(F.size("product_ids") > 1)
    both = several.select(zipped.alias("entries")).select("entries", F.explode("entries").alias("a"))
    # Each unordered pair once: the other half is its mirror, added after the sum.
    later = F.filter("entries", lambda entry: entry.getField("id") > F.col("a.id"))
    both = both.select("a", F.explode(later).alias("b"))
    sums = both.groupBy(F.col("a.id").alias("a"), F.col("b.id").alias("b")).agg(
        F.round(F.sum(_root(F.col("a")) * _root(F.col("b"))), 6).alias("shared")
    )
    sides = sums.select(F.col("a").alias("product_id"), F.col("b").alias("other_id"), "shared").unionByName(
        sums.select(F.col("b").alias("product_id"), F.col("a").alias("other_id"), "shared")
    )
    other = norms.select(F.col("product_id").alias("other_id"), F.col("norm").alias("other_norm"))
    similarity = F.col("shared") / (F.sqrt(F.col("norm") * F.col("other_norm")) + SHRINKAGE)
    similar = (
        sides.join(F.broadcast(norms), "product_id", how="inner")
        .join(F.broadcast(other), "other_id", how="inner")
        .select("product_id", "other_id", similarity.alias("similarity"))
    )
    return best_of_each(similar, ["product_id"], [F.desc("similarity"), "other_id"], neighbours)


def _root(entry: Column) -> Column:
    """So that a purchase counts for more than a view, but not five-fold."""
    return F.sqrt(entry.getField("weight"))
