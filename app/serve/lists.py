"""Recommendation lists as a table: the shape that sinks, the report and people read."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from app.core.files import replacing
from app.serve.contract import NONE
from app.serve.generators.popularity import Popularity
from app.serve.rankers.reciprocal_rank import Blended
from app.serve.recommender import CHUNK, Recommender, Visits

PERSONAL, FALLBACK = "hybrid", "popular_fallback"

#: One row per product of a list (the brief's merged_recommendations, with rank, source and version).
LIST_SCHEMA = T.StructType(
    [
        T.StructField("user_id", T.LongType()),
        T.StructField("product_id", T.LongType()),
        T.StructField("rank", T.IntegerType()),  # 1 is best
        T.StructField("rec_score", T.DoubleType()),
        T.StructField("recommended_category_code", T.StringType()),
        T.StructField("main_brand", T.StringType()),
        T.StructField("avg_price", T.DoubleType()),
        T.StructField("recommendation_type", T.StringType()),  # hybrid | popular_fallback
        T.StructField("source", T.StringType()),  # generator that contributed most
        T.StructField("model_version", T.StringType()),
        T.StructField("generated_at", T.TimestampType()),
    ]
)
ARROW_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("product_id", pa.int64()),
        ("rank", pa.int32()),
        ("rec_score", pa.float64()),
        ("recommended_category_code", pa.string()),
        ("main_brand", pa.string()),
        ("avg_price", pa.float64()),
        ("recommendation_type", pa.string()),
        ("source", pa.string()),
        ("model_version", pa.string()),
        ("generated_at", pa.timestamp("us", tz="UTC")),
    ]
)


def list_table(
    recommender: Recommender, visits: Visits, lists: Blended, version: str, generated_at: datetime
) -> pa.Table:
    """Lists as rows of `LIST_SCHEMA`.

    Parameters
    ----------
    recommender
        Whose lists they are.
    visits
        Whom they are for (n).
    lists
        (n, k) products, scores, sources.
    version
        Of the bundle.
    generated_at
        With a time zone.
    """
    rows, places = np.nonzero(lists.items != NONE)
    products = recommender.catalogue.take(lists.items[rows, places])
    names = pa.array(list(recommender.generators))
    source = pc.cast(names.take(pa.array(lists.sources[rows, places])), pa.string())
    kind = pc.if_else(pc.equal(source, Popularity.name), FALLBACK, PERSONAL)
    return pa.table(
        [
            pa.array(visits.user_ids[rows]),
            products["product_id"],
            pa.array((places + 1).astype(np.int32)),
            pa.array(lists.scores[rows, places].astype(np.float64)),
            products["category_code"],
            products["brand"],
            products["avg_price"],
            kind,
            source,
            pa.array([version] * len(rows), pa.string()),
            pa.array([generated_at] * len(rows), pa.timestamp("us", tz="UTC")),
        ],
        schema=ARROW_SCHEMA,
    )


def lists_for_users(users: DataFrame, bundle: Path, k: int, now: datetime, generated_at: datetime) -> DataFrame:
    """Lists for users of whose session nothing is known.

    Parameters
    ----------
    users
        user_id.
    bundle
        Folder of the bundle.
    k
        Products per list.
    now
        From which purchases are counted back; usually the end of the data.
    generated_at
        Stamp of the rows.

    Returns
    -------
    DataFrame
        `LIST_SCHEMA`.
    """
    answer = _answerer(str(bundle), bundle.name, k, now.timestamp(), generated_at)
    return users.select("user_id").mapInArrow(answer, LIST_SCHEMA)


@lru_cache(maxsize=2)
def _open(folder: str) -> Recommender:
    return Recommender.load(Path(folder))


def _answerer(
    folder: str, version: str, k: int, now: float, generated_at: datetime
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        recommender = _open(folder)
        for batch in batches:
            ids = batch.column("user_id").to_numpy()
            for start in range(0, len(ids), CHUNK):
                visits = Visits.of_users(ids[start : start + CHUNK])
                lists = recommender.recommend(visits, k, now).lists
                yield from list_table(recommender, visits, lists, version, generated_at).to_batches()

    return answer


def write_csv(folder: Path, target: Path) -> int:
    """One CSV of all the Parquet files of a folder, replaced whole; returns the number of rows."""
    dataset, rows = ds.dataset(folder, format="parquet", schema=ARROW_SCHEMA), 0
    with replacing(target) as part, pacsv.CSVWriter(part, ARROW_SCHEMA) as writer:
        for batch in dataset.to_batches():
            writer.write_batch(batch)
            rows += len(batch)
    return rows
