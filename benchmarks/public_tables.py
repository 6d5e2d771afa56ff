"""The tables that a training learns from, of a public file's sessions or users."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from public_files import Vocabulary
from pyspark.sql import SparkSession

from app.events.vocabulary import TOUCHES, UNKNOWN
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from app.serve.ragged import NONE
from app.serve.visits import Touches

TOUCHES_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("session_id", pa.string()),
        ("product_ids", pa.list_(pa.int64())),
        ("kinds", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float32())),
        ("times", pa.list_(pa.float64())),
    ]
)


def tables_of(spark: SparkSession, folder: Path, vocabulary: Vocabulary, touches: Touches, timed: bool) -> Tables:
    """The tables that generators learn from, of the touches of users or sessions, products being numbers.

    Parameters
    ----------
    spark, folder
        The session, and an empty folder on its disk.
    vocabulary
        Of the products.
    touches
        A row for each session, or each user.
    timed
        Whether their times say anything; else generators get none.
    """
    users, rows, number = np.arange(len(touches)), touches.shape.rows(), len(vocabulary.items)
    interactions, sessions, interest = folder / "interactions", folder / "touches", folder / "interest"
    for path in (interactions, sessions, interest):
        path.mkdir(parents=True)
    pairs = pa.table({"user_id": users[rows], "product_id": touches.products, "rating": touches.weights})
    pq.write_table(pairs.set_column(2, "rating", pairs["rating"].cast(pa.float64())), interactions / "part-0.parquet")
    _write_parts(_touch_table(touches, timed), sessions, spark.sparkContext.defaultParallelism)
    weights = np.bincount(touches.products, touches.weights, number)
    liked = {"segment": np.full(number, NONE), "product_id": np.arange(number), "interest": (weights * 1e6).astype(int)}
    pq.write_table(pa.table(liked), interest / "part-0.parquet")
    unknown = [UNKNOWN] * number
    return Tables(
        spark=spark,
        interactions=interactions,
        touches=sessions,
        interest=interest,
        catalogue=Catalogue.of(
            pa.table(
                {
                    "product_id": np.arange(number),
                    "category_code": unknown,
                    "category": unknown,
                    "brand": unknown,
                    "avg_price": np.zeros(number),
                    "popularity": weights,
                }
            )
        ),
        user_ids=users,
        folder=folder,
    )


def _write_parts(table: pa.Table, folder: Path, parts: int) -> None:
    size = -(-len(table) // parts)
    for number in range(parts):
        pq.write_table(table.slice(number * size, size), folder / f"part-{number:05d}.parquet")


def _touch_table(touches: Touches, timed: bool) -> pa.Table:
    offsets = pa.array(touches.shape.offsets.astype(np.int32))
    values = (touches.products, touches.kinds.astype(np.int32), touches.weights, touches.times)
    columns = {
        name: pa.ListArray.from_arrays(offsets, pa.array(column)) for name, column in zip(TOUCHES, values, strict=True)
    }
    if not timed:
        columns["times"] = pa.nulls(len(touches), pa.list_(pa.float64()))
    numbers = np.arange(len(touches))
    return pa.table({"user_id": numbers, "session_id": numbers.astype(str)} | columns, schema=TOUCHES_SCHEMA)
