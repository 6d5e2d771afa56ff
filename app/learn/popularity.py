"""Learning popularity: bestsellers by segment and category."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.learn.best import best_of_each
from app.learn.tables import Tables
from app.serve.contract import top_per_row
from app.serve.generators.popularity import Popularity
from app.serve.ragged import NONE

SEGMENT_PRIOR = 0.2  #: how much of everyone's interest is mixed into a segment's: small ones are noisy


def fit_popularity(tables: Tables, settings: Settings) -> Popularity:
    """Lists by position."""
    catalogue = tables.catalogue
    popular = popular_products(tables.popularity, tables.user_segments, _categories(tables), settings.candidates)
    path = tables.folder / "popularity"
    popular.write.mode("overwrite").parquet(str(path))
    table = pq.read_table(path)
    segments, categories = settings.segments + 1, len(catalogue.categories) + 1
    cells = _or_last(table, "segment", segments) * categories + _or_last(table, "category", categories)
    items = catalogue.positions(table["product_id"].to_numpy())
    best = top_per_row(cells, items, table["score"].to_numpy(), segments * categories, settings.candidates)
    scores = (best.scores / np.maximum(best.scores[:, :1], 1e-9)).astype(np.float32)
    shape = (segments, categories, -1)
    return Popularity(best.items.reshape(shape), scores.reshape(shape), catalogue.category)


def _or_last(table: pa.Table, name: str, size: int) -> NDArray[np.int64]:
    """A row or column of the lists; the last one stands for all."""
    numbers = table[name].to_numpy()
    return np.where(numbers == NONE, size - 1, numbers)


def _categories(tables: Tables) -> DataFrame:
    """product_id and the number of its main category, of what may be recommended, by way of the disk."""
    folder = tables.folder / "categories"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"product_id": tables.catalogue.product_ids, "category": tables.catalogue.category})
    if tables.catalogue.available is not None:
        table = table.filter(pa.array(tables.catalogue.available))
    pq.write_table(table, folder / "part-0.parquet")
    return tables.popularity.sparkSession.read.parquet(str(folder))


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
    best = best_of_each(cells, ["segment", "category"], [F.desc("score"), "product_id"], n)
    return best.select("segment", "category", "product_id", "score")
