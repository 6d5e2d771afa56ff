"""Window counts: written again they leave what one write leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.stream.window_files import WINDOW_SCHEMA, upsert_windows, window_lines

MIDNIGHT = datetime(2019, 10, 1, tzinfo=UTC)


def counts(*rows: tuple[float, str, int]) -> pa.Table:
    """(minute after midnight, event type, events); a euro for each event."""
    table = {
        "start": [at(minute) for minute, _, _ in rows],
        "event_type": [kind for _, kind, _ in rows],
        "main_category": ["a"] * len(rows),
        "events": [n for _, _, n in rows],
        "revenue": [float(n) for _, _, n in rows],
    }
    return pa.table(table, WINDOW_SCHEMA)


def at(minute: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=minute)


def stored(folder: Path) -> dict[tuple[datetime, str], int]:
    rows: list[dict[str, Any]] = [row for path in folder.iterdir() for row in pq.read_table(path).to_pylist()]
    found = {(row["start"], row["event_type"]): row["events"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_later_count_of_a_window_replaces_the_earlier(tmp_path: Path) -> None:
    upsert_windows(counts((0, "view", 3), (5, "view", 1)), tmp_path)
    for _ in range(2):
        upsert_windows(counts((5, "view", 4), (5, "cart", 2), (1440, "view", 9)), tmp_path)
    assert stored(tmp_path) == {
        (at(0), "view"): 3,
        (at(5), "view"): 4,
        (at(5), "cart"): 2,
        (at(1440), "view"): 9,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2019-10-01.parquet", "2019-10-02.parquet"]


def test_points_stand_at_the_start_of_their_window(tmp_path: Path) -> None:
    start = int(MIDNIGHT.timestamp()) + 300
    assert window_lines(counts((5, "view", 4))) == [
        f"events,event_type=view,main_category=a events=4i,revenue=4 {start}000000000"
    ]
