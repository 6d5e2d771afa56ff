"""Window counts: written again they leave what one write leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.events.archive_names import Epochs
from app.stream.window_files import (
    WINDOW_SCHEMA,
    counted_up_to,
    drop_lower_windows,
    note_counted,
    read_windows,
    replace_windows,
    take_over_windows,
    window_lines,
)

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


def micros(*minutes: float) -> list[int]:
    return [int(at(minute).timestamp() * 1_000_000) for minute in minutes]


def stored(folder: Path, *epochs: int) -> dict[tuple[datetime, str], int]:
    rows = read_windows(folder, Epochs(tuple((epoch, 0) for epoch in epochs or (1,)))).to_pylist()
    found = {(row["start"], row["event_type"]): row["events"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_later_count_of_a_window_replaces_the_earlier(tmp_path: Path) -> None:
    replace_windows(counts((0, "view", 3), (5, "view", 1), (5, "purchase", 1)), micros(0, 5), tmp_path, 1)
    for _ in range(2):
        later = counts((5, "view", 4), (5, "cart", 2), (1440, "view", 9))
        replace_windows(later, micros(5, 1440), tmp_path, 1)
    assert stored(tmp_path) == {
        (at(0), "view"): 3,
        (at(5), "view"): 4,
        (at(5), "cart"): 2,
        (at(1440), "view"): 9,
    }
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["2019-10-01.e000001.parquet", "2019-10-02.e000001.parquet"]


def test_a_new_epoch_begins_with_the_counts_of_the_one_before(tmp_path: Path) -> None:
    """What the one before still writes is read by nobody; so are files of the first edition, once taken over."""
    pq.write_table(counts((0, "view", 3)), tmp_path / "2019-10-01.parquet")
    assert stored(tmp_path, 0) == {(at(0), "view"): 3}
    take_over_windows(tmp_path, 0, 1, 0)
    assert counted_up_to(tmp_path, 1) < 0
    note_counted(tmp_path, 1, 9)
    take_over_windows(tmp_path, 1, 2, 8)
    assert counted_up_to(tmp_path, 2) == 7  # micro-batch 8 is done again
    replace_windows(counts((0, "view", 99)), micros(0), tmp_path, 1)
    replace_windows(counts((5, "view", 1)), micros(5), tmp_path, 2)
    assert stored(tmp_path, 1, 2) == {(at(0), "view"): 3, (at(5), "view"): 1}
    drop_lower_windows(tmp_path, 2)
    names = ["2019-10-01.e000002.parquet", "_counted.e000002"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    drop_lower_windows(tmp_path, 1)  # by one that wakes up after it was replaced
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_points_stand_at_the_start_of_their_window(tmp_path: Path) -> None:
    start = int(MIDNIGHT.timestamp()) + 300
    assert window_lines(counts((5, "view", 4))) == [
        f"events,event_type=view,main_category=a events=4i,revenue=4 {start}000000000"
    ]
