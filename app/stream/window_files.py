"""Window counts as files and points: a later count of a window replaces the earlier one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.core.files import replacing
from app.monitor.schema import EVENTS

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
