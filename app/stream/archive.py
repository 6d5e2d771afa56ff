"""Events as they came, kept for the next training; rejected rows beside them."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.archive import ARCHIVE_SCHEMA
from app.events.clean import rejected_rows
from app.stream.source import valid


def archive_batch(events: DataFrame, archive: Path, rejected: Path, batch: int) -> None:
    """Store a micro-batch's events, in the layout of the log, and its rejected rows.

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
