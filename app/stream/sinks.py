"""Where a micro-batch goes besides lists: the event archive and the window counts."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.archive import ARCHIVE_SCHEMA
from app.events.clean import rejected_rows
from app.monitor.schema import EVENTS
from app.stream.list_files import replacing
from app.stream.source import valid

WINDOW_KEY = ("start", "event_type", "main_category")
WINDOW_SCHEMA = pa.schema(
    [
        ("start", pa.timestamp("us", tz="UTC")),
        ("event_type", pa.string()),
        ("main_category", pa.string()),
        ("events", pa.int64()),
        ("revenue", pa.float64()),
    ]
)


def archive_batch(events: DataFrame, archive: Path, rejected: Path, batch: int) -> None:
    """Store a micro-batch's events, as `ARCHIVE_SCHEMA`, and its rejected rows.

    A folder appears whole, by one rename; a micro-batch tried again finds its folder there.
    """
    kept = valid(events).withColumn("price", F.col("listed_price")).select(*ARCHIVE_SCHEMA.fieldNames())
    _write_once(kept, archive / f"batch-{batch:09d}")
    _write_once(rejected_rows(events).coalesce(1), rejected / f"batch-{batch:09d}")


def _write_once(frame: DataFrame, target: Path) -> None:
    if target.exists():
        return
    temporary = target.with_name(f".{target.name}")
    frame.write.mode("overwrite").parquet(str(temporary))
    if not any(pq.read_metadata(path).num_rows for path in temporary.glob("*.parquet")):
        shutil.rmtree(temporary)  # nothing to keep: folders of empty files would slow every reader
        return
    temporary.rename(target)


def upsert_windows(counts: pa.Table, folder: Path) -> None:
    """Put window counts into one file a day, the newest count of a window in place of older ones."""
    counts = counts.select(WINDOW_SCHEMA.names).cast(WINDOW_SCHEMA)
    days = pc.strftime(counts["start"], "%Y-%m-%d")
    for day in sorted(set(days.to_pylist())):
        target = folder / f"{day}.parquet"
        new = counts.filter(pc.equal(days, day))
        if target.exists():
            old = pq.read_table(target, schema=WINDOW_SCHEMA)
            kept = old.join(new.select(list(WINDOW_KEY)), keys=list(WINDOW_KEY), join_type="left anti")
            new = pa.concat_tables([kept.select(WINDOW_SCHEMA.names), new])
        with replacing(target) as path:
            pq.write_table(new.sort_by([(name, "ascending") for name in WINDOW_KEY]), path)


def window_lines(counts: pa.Table) -> list[str]:
    """InfluxDB points of window counts, at the start of their window: a later count replaces an earlier."""
    frame = counts.select(WINDOW_SCHEMA.names).cast(WINDOW_SCHEMA).to_pandas()
    return EVENTS.lines(frame.rename(columns={"start": "time"}))
