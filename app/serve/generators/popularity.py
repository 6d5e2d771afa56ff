"""Popularity: segment × category, then category, then segment, then everyone.

The categories are the three that a user showed most interest in (the brief, "top_categories"),
each weighted by its share of the interest; what is still missing is filled with the bestsellers of
everyone.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.serve.catalogue import Catalogue
from app.serve.contract import NONE, Batch, Candidates, Tables, top_per_row

TOP_CATEGORIES = 3  #: of a user (the brief)
RECENCY = 0.8  #: an item counts so much less for each one seen after it
SEGMENT_PRIOR = 0.2  #: how much of everyone's interest is mixed into a segment's: small ones are noisy
NEXT_LEVEL = 1e-3  #: each level counts so much less: it fills up behind the one before


class Popularity:
    """Lists of popular products.

    `lists` (s + 1, c + 1, n) int32: best products of a segment (last row: of everyone) in a category
    (last column: in all), -1 where there are no more; `scores` likewise, scaled to at most 1.
    """

    name: ClassVar[str] = "popularity"

    def __init__(self, lists: NDArray[np.int32], scores: NDArray[np.float32], category: NDArray[np.int32]):
        self.lists, self.scores, self.category = lists, scores, category

    @classmethod
    def fit(cls, tables: Tables, settings: Settings) -> Self:
        path = tables.folder / "popularity"
        categories = tables.folder / "catalogue"
        categories.mkdir(parents=True, exist_ok=True)
        names = pa.table({"product_id": tables.catalogue.product_ids, "category": tables.catalogue.category})
        pq.write_table(names, categories / "part-0.parquet")
        catalogue = tables.spark.read.parquet(str(categories))
        popular_products(tables.popularity, tables.user_segments, catalogue, settings.candidates).write.mode(
            "overwrite"
        ).parquet(str(path))
        table = pq.read_table(path)
        segments = settings.segments
        shape = (segments + 1, len(tables.catalogue.categories) + 1)
        cell_of = lambda name, last: np.where(  # noqa: E731 - -1 means "all": the last row or column
            table[name].to_numpy() == NONE, last, table[name].to_numpy()
        )
        cells = cell_of("segment", shape[0] - 1) * shape[1] + cell_of("category", shape[1] - 1)
        items = tables.catalogue.positions(table["product_id"].to_numpy())
        best = top_per_row(cells, items, table["score"].to_numpy(), shape[0] * shape[1], settings.candidates)
        scores = (best.scores / np.maximum(best.scores[:, :1], 1e-9)).astype(np.float32)
        return cls(best.items.reshape(*shape, -1), scores.reshape(*shape, -1), tables.catalogue.category)

    def save(self, folder: Path) -> None:
        np.save(folder / "lists.npy", self.lists)
        np.save(folder / "scores.npy", self.scores)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        lists, scores = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("lists", "scores"))
        return cls(lists, scores, catalogue.category)

    def candidates(self, batch: Batch, k: int) -> Candidates:
        n, everything = len(batch), self.lists.shape[1] - 1
        everyone = self.lists.shape[0] - 1
        segment = np.where(batch.segments == NONE, everyone, batch.segments)
        interest = top_per_row(
            batch.rows(),
            self.category[batch.items],
            RECENCY ** batch.age() * batch.weights,
            n,
            TOP_CATEGORIES,
        )
        share = interest.scores / np.maximum(interest.scores.sum(axis=1, keepdims=True), 1e-9)
        rows, wanted = np.nonzero(interest.items != NONE)
        category = interest.items[rows, wanted]
        share = share[rows, wanted]
        cells = [
            (rows, segment[rows], category, share),
            (rows, np.full_like(rows, everyone), category, share * NEXT_LEVEL),
            (np.arange(n), segment, np.full(n, everything), np.full(n, NEXT_LEVEL**2)),
            (np.arange(n), np.full(n, everyone), np.full(n, everything), np.full(n, NEXT_LEVEL**3)),
        ]
        length = min(k, self.lists.shape[2])
        parts = [
            (np.repeat(r, length), self.lists[s, c, :k].ravel(), (self.scores[s, c, :k] * w[:, None]).ravel())
            for r, s, c, w in cells
        ]
        row, item, score = (np.concatenate(column) for column in zip(*parts, strict=True))
        there = (item != NONE) & (score > 0)
        return top_per_row(row[there], item[there], score[there], n, k)

    def everyone(self, rows: int, k: int) -> Candidates:
        """The same bestsellers for all: the baseline that everything is held against."""
        result = Candidates.empty(rows, k)
        items, scores = self.lists[-1, -1, :k], self.scores[-1, -1, :k]
        result.items[:, : len(items)], result.scores[:, : len(items)] = items, scores
        return result


def popular_products(pairs: DataFrame, user_segments: DataFrame, catalogue: DataFrame, n: int) -> DataFrame:
    """The most popular products by segment and category.

    Parameters
    ----------
    pairs
        user_id, product_id, decayed.
    user_segments
        user_id, segment_id.
    catalogue
        product_id, category (int).
    n
        Products kept per cell.

    Returns
    -------
    DataFrame
        segment (int, -1 = everyone), category (int, -1 = all), product_id, score.
    """
    by_segment = (
        pairs.join(user_segments, "user_id", how="left")
        .groupBy(F.coalesce("segment_id", F.lit(NONE)).alias("segment"), "product_id")
        .agg(F.sum("decayed").alias("decayed"))
        .where(F.col("decayed") > 0)
    )
    overall = by_segment.groupBy("product_id").agg(F.sum("decayed").alias("all"))
    smoothed = by_segment.where(F.col("segment") != NONE).join(overall, "product_id", how="inner")
    scores = smoothed.select(
        "segment", "product_id", F.round(F.col("decayed") + SEGMENT_PRIOR * F.col("all"), 4).alias("score")
    ).unionByName(overall.select(F.lit(NONE).alias("segment"), "product_id", F.round("all", 4).alias("score")))
    with_category = scores.join(F.broadcast(catalogue), "product_id", how="inner")
    cells = with_category.unionByName(with_category.withColumn("category", F.lit(NONE)))
    best_first = Window.partitionBy("segment", "category").orderBy(F.desc("score"), "product_id")
    return (
        cells.withColumn("place", F.row_number().over(best_first))
        .where(F.col("place") <= n)
        .select("segment", "category", "product_id", "score")
    )
