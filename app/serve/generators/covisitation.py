"""Item-to-item co-visitation: products seen in the same sessions.

Similarity is the cosine of the products' sessions (Linden, Smith, York, "Amazon.com
Recommendations: Item-to-Item Collaborative Filtering", 2003), weighted by what was done with the
products, and shrunk so that one shared session proves little.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.serve.catalogue import Catalogue
from app.serve.contract import NONE, Batch, Candidates, Tables, top_per_row

SHRINKAGE = 5.0  #: sessions added to the denominator
RECENCY = 0.8  #: an item counts so much less for each one seen after it
LATEST = 10  #: items looked at; those before them would count less than a ninth


class CoVisitation:
    """Nearest products of each product.

    `neighbours` (p, n) int32, -1 where there are no more; `similarities` (p, n) float32.
    """

    name: ClassVar[str] = "covisitation"

    def __init__(self, neighbours: NDArray[np.int32], similarities: NDArray[np.float32]):
        self.neighbours, self.similarities = neighbours, similarities

    @classmethod
    def fit(cls, tables: Tables, settings: Settings) -> Self:
        path = tables.folder / "covisitation"
        n = settings.covisitation_neighbours
        similar_products(tables.session_items, n).write.mode("overwrite").parquet(str(path))
        table = pq.read_table(path)
        rows = tables.catalogue.positions(table["product_id"].to_numpy())
        items = tables.catalogue.positions(table["other_id"].to_numpy())
        best = top_per_row(rows, items, table["similarity"].to_numpy(), len(tables.catalogue), n)
        return cls(best.items, best.scores)

    def save(self, folder: Path) -> None:
        np.save(folder / "neighbours.npy", self.neighbours)
        np.save(folder / "similarities.npy", self.similarities)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("neighbours", "similarities")))

    def candidates(self, batch: Batch, k: int) -> Candidates:
        age = batch.age()
        latest = age < LATEST
        seen = batch.items[latest]
        weight = RECENCY ** age[latest] * np.log1p(batch.weights[latest])
        items, scores = self.neighbours[seen], self.similarities[seen] * weight[:, None]
        rows = np.broadcast_to(batch.rows()[latest][:, None], items.shape)
        there = (items != NONE) & (scores > 0)  # what was only removed from the cart recommends nothing
        return top_per_row(rows[there], items[there], scores[there], len(batch), k)


def similar_products(session_items: DataFrame, neighbours: int) -> DataFrame:
    """The most similar products of each product.

    Parameters
    ----------
    session_items
        product_ids (array of distinct products of a session), ratings (array of float).
    neighbours
        How many are kept.

    Returns
    -------
    DataFrame
        product_id, other_id, similarity (0..1).
    """
    entries = F.explode(F.arrays_zip(F.col("product_ids").alias("id"), F.col("ratings").alias("rating")))
    weight = lambda entry: F.sqrt(entry.getField("rating"))  # noqa: E731 - a purchase counts, not five-fold
    norms = (
        session_items.select(entries.alias("entry"))
        .groupBy(F.col("entry.id").alias("product_id"))
        .agg(F.sum(F.col("entry.rating")).alias("norm"))
    )
    several = session_items.where(F.size("product_ids") > 1)
    zipped = F.arrays_zip(F.col("product_ids").alias("id"), F.col("ratings").alias("rating"))
    both = several.select(zipped.alias("entries")).select("entries", F.explode("entries").alias("a"))
    # Each unordered pair once: the other half is its mirror, added after the sum.
    later = F.filter("entries", lambda entry: entry.getField("id") > F.col("a.id"))
    both = both.select("a", F.explode(later).alias("b"))
    sums = both.groupBy(F.col("a.id").alias("a"), F.col("b.id").alias("b")).agg(
        F.round(F.sum(weight(F.col("a")) * weight(F.col("b"))), 6).alias("shared")
    )
    sides = sums.select(F.col("a").alias("product_id"), F.col("b").alias("other_id"), "shared").unionByName(
        sums.select(F.col("b").alias("product_id"), F.col("a").alias("other_id"), "shared")
    )
    other = norms.select(F.col("product_id").alias("other_id"), F.col("norm").alias("other_norm"))
    similarity = F.col("shared") / (F.sqrt(F.col("norm") * F.col("other_norm")) + SHRINKAGE)
    best_first = Window.partitionBy("product_id").orderBy(F.desc("similarity"), "other_id")
    return (
        sides.join(F.broadcast(norms), "product_id", how="inner")
        .join(F.broadcast(other), "other_id", how="inner")
        .select("product_id", "other_id", similarity.alias("similarity"))
        .withColumn("place", F.row_number().over(best_first))
        .where(F.col("place") <= neighbours)
        .select("product_id", "other_id", "similarity")
    )
