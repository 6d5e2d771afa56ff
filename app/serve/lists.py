"""Recommendation lists as a table: the shape that sinks, the report and people read."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from app.core.files import replacing
from app.serve.contract import Baseline
from app.serve.ragged import NONE
from app.serve.recommender import Answer, Recommender
from app.serve.visits import Visitors

PERSONAL, FALLBACK = "hybrid", "popular_fallback"
STAMP = "generated_at"  #: the last column
COPIED = 1 << 20  #: bytes of a file at a time

#: One row per product of a list; where the shop's ids are text, the three ids are: see `list_schema`.
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
        ("source", pa.string()),  # generator that contributed most to it
        ("because_product_id", pa.int64()),  # touched product that contributed most to it, null if none did
        ("model_version", pa.string()),
        (STAMP, pa.timestamp("us", tz="UTC")),
    ]
)


IDS = ("user_id", "product_id", "because_product_id")


def list_schema(text_ids: bool) -> pa.Schema:
    """The schema of lists, with the shop's own ids as they are."""
    if not text_ids:
        return ARROW_SCHEMA
    return pa.schema([pa.field(f.name, pa.string()) if f.name in IDS else f for f in ARROW_SCHEMA])


def list_table(
    recommender: Recommender, visitors: Visitors, answer: Answer, version: str, generated_at: datetime
) -> pa.Table:
    """Lists as rows of `list_schema`.

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
    popular = [name for name, generator in recommender.generators.items() if isinstance(generator, Baseline)]
    kind = pc.if_else(pc.is_in(source, pa.array(popular, pa.string())), FALLBACK, PERSONAL)
    because = answer.because[rows, places]
    text = recommender.parameters.text_ids
    reasons = recommender.catalogue.shown(because, text)
    return pa.table(
        [
            _users(recommender, visitors, answer, text).take(pa.array(rows)),
            recommender.catalogue.shown(lists.items[rows, places], text),
            pa.array((places + 1).astype(np.int32)),
            pa.array(lists.scores[rows, places].astype(np.float64)),
            products["category_code"],
            products["brand"],
            products["avg_price"],
            kind,
            source,
            pc.if_else(pa.array(because != NONE), reasons, pa.scalar(None, reasons.type)),
            pa.array([version] * len(rows), pa.string()),
            pa.array([generated_at] * len(rows), pa.timestamp("us", tz="UTC")),
        ],
        schema=list_schema(text),
    )


def _users(recommender: Recommender, visitors: Visitors, answer: Answer, text: bool) -> pa.Array:
    """The shop's own ids of the visitors: those that came with them, else those that the bundle remembers."""
    numbers = pa.array(visitors.user_ids)
    if not text:
        return numbers
    known = visitors.keys if visitors.keys is not None else pa.nulls(len(visitors), pa.string())
    if recommender.users.keys is not None:
        positions = recommender.users.positions(visitors.user_ids)  # not of one who stands in for the user
        known = pc.coalesce(known, recommender.users.keys.take(pa.array(positions, mask=positions == NONE)))
    return pc.coalesce(known, pc.cast(numbers, pa.string()))


def csv_rows(lists: pa.Table, *, head: bool = False) -> bytes:
    """Lists as rows of CSV, below a head or without one.

    To write times with a zone takes Arrow three times as long as all the rest. Without it they are written as they are
    but for the Z behind them, which is put at the ends of the rows, if there are no other ends of lines.
    """
    in_utc = lists.set_column(len(lists.schema) - 1, STAMP, lists[STAMP].cast(pa.timestamp("us")))
    text = _csv(in_utc)
    rows = text.replace(b"\n", b"Z\n") if text.count(b"\n") == len(lists) else _csv(lists)
    return _csv(lists.schema.empty_table(), head=True) + rows if head else rows


def _csv(lists: pa.Table, *, head: bool = False) -> bytes:
    buffer = BytesIO()
    pacsv.write_csv(lists, buffer, pacsv.WriteOptions(include_header=head))
    return buffer.getvalue()


def write_csv(parts: Iterable[Path], target: Path) -> None:
    """One CSV of files of `csv_rows`, replaced whole."""
    with replacing(target) as path, path.open("wb") as written:
        written.write(_csv(ARROW_SCHEMA.empty_table(), head=True))
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, written, COPIED)
