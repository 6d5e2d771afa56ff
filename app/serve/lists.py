"""Recommendation lists as a table: the shape that sinks, the report and people read."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as ds

from app.core.files import replacing
from app.serve.generators.popularity import Popularity
from app.serve.ragged import NONE
from app.serve.recommender import Answer, Recommender
from app.serve.visits import Visitors

PERSONAL, FALLBACK = "hybrid", "popular_fallback"

#: One row per product of a list.
ARROW_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("product_id", pa.int64()),
        ("rank", pa.int32()),  # 1 is best
        ("rec_score", pa.float64()),
        ("recommended_category_code", pa.string()),
        ("main_brand", pa.string()),
        ("avg_price", pa.float64()),
        ("recommendation_type", pa.string()),  # PERSONAL or FALLBACK
        ("source", pa.string()),  # generator that speaks most for it
        ("because_product_id", pa.int64()),  # touched product that speaks most for it, null if none does
        ("model_version", pa.string()),
        ("generated_at", pa.timestamp("us", tz="UTC")),
    ]
)


def list_table(
    recommender: Recommender, visitors: Visitors, answer: Answer, version: str, generated_at: datetime
) -> pa.Table:
    """Lists as rows of `ARROW_SCHEMA`.

    Parameters
    ----------
    recommender
        Whose lists they are.
    visitors
        Whom they are for (n).
    answer
        Of the recommender for these visitors.
    version
        Of the bundle.
    generated_at
        With a time zone.
    """
    lists = answer.lists
    rows, places = np.nonzero(lists.items != NONE)
    products = recommender.catalogue.take(lists.items[rows, places])
    names = pa.array(list(recommender.generators))
    source = pc.cast(names.take(pa.array(lists.sources[rows, places])), pa.string())
    kind = pc.if_else(pc.equal(source, Popularity.name), FALLBACK, PERSONAL)
    because = answer.because[rows, places]
    return pa.table(
        [
            pa.array(visitors.user_ids[rows]),
            products["product_id"],
            pa.array((places + 1).astype(np.int32)),
            pa.array(lists.scores[rows, places].astype(np.float64)),
            products["category_code"],
            products["brand"],
            products["avg_price"],
            kind,
            source,
            pa.array(recommender.catalogue.product_ids[because], mask=because == NONE),
            pa.array([version] * len(rows), pa.string()),
            pa.array([generated_at] * len(rows), pa.timestamp("us", tz="UTC")),
        ],
        schema=ARROW_SCHEMA,
    )


def write_csv(folder: Path, target: Path) -> int:
    """One CSV of all the Parquet files of a folder, replaced whole; returns the number of rows."""
    dataset, rows = ds.dataset(folder, format="parquet", schema=ARROW_SCHEMA), 0
    with replacing(target) as part, pacsv.CSVWriter(part, ARROW_SCHEMA) as writer:
        for batch in dataset.to_batches():
            writer.write_batch(batch)
            rows += len(batch)
    return rows
