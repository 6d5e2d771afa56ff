"""Windows are shown as events come, and counted anew once they are left alone: in whatever order that happens."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange
from app.stream import window_counter
from app.stream.archive import Archive
from app.stream.compaction import delete_old
from app.stream.epoch import Epoch, begin, marked
from app.stream.folders import StreamFolders
from app.stream.points import PointSink
from app.stream.window_counter import WindowCounter
from app.stream.window_files import counted_up_to, read_windows

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)
START = int(NOON.timestamp()) * 1_000_000
NEXT = START + 300_000_000
SECONDS = 5.0


class Shop:
    """An archive, a counter over it, and a clock."""

    def __init__(self, spark: SparkSession, folder: Path):
        self.settings = Settings(output=folder, windows_seconds=SECONDS)
        self.folders = StreamFolders.of(self.settings)
        self.folders.prepare()
        self.now = 0.0
        self.sink = PointSink(None, lambda: False, lambda: None, print)
        self._spark = spark
        self.epoch = begin(self.folders, 1)
        self.counter = self.started()

    def started(self, epoch: Epoch | None = None) -> WindowCounter:
        points = self.sink
        return WindowCounter(
            self._spark, self.settings, self.folders, epoch or self.epoch, points, clock=lambda: self.now
        )

    def archive(self, batch: int, *events: tuple[int, int], told: bool = True) -> None:
        """(start of the window, user): views of category a; `told` as the stream does, unless it was killed."""
        part = BatchRange(batch, batch, 1)
        folder = self.folders.archive / part.name
        folder.mkdir()
        rows = [
            {"event_time": datetime.fromtimestamp(start / 1e6, UTC), "event_type": "view", "category_code": "a.x"}
            | {"product_id": 1, "user_id": user, "quantity": 1.0}
            for start, user in events
        ]
        texts, numbers = ("event_type", "category_code"), ("product_id", "user_id")
        types = dict.fromkeys(texts, pa.string()) | dict.fromkeys(numbers, pa.int64())
        schema = pa.schema({"event_time": pa.timestamp("us", tz="UTC"), "quantity": pa.float64()} | types)
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / "part-00000.parquet")
        windows = sorted({start for start, _ in events})
        write_manifest(folder, Manifest(rows=len(rows), windows=windows, written=0))
        if told:
            starts = [start for start, _ in events]
            self.counter.archived(part, {(start, "view", "a"): (starts.count(start), 0) for start in windows})

    def stored(self) -> dict[int, int]:
        rows = read_windows(self.folders.windows, marked(self.folders)).to_pylist()
        return {int(row["start"].timestamp() * 1_000_000): row["events"] for row in rows}

    def up_to(self) -> int:
        return counted_up_to(self.folders.windows, self.epoch.number)


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    return Shop(spark, tmp_path)


def test_what_comes_is_shown_and_what_came_twice_is_put_right(shop: Shop) -> None:
    shop.archive(0, (START, 1), (START, 2), (NEXT, 1))
    shop.counter.show()
    assert shop.stored() == {START: 2, NEXT: 1}
    shop.archive(1, (START, 2))  # sent again
    shop.counter.show()
    assert shop.stored() == {START: 3, NEXT: 1}
    shop.counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 3, NEXT: 1}, -1)  # nothing is left alone yet
    shop.now = 2 * SECONDS
    shop.counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 1}, 1)
    shop.archive(2, (START, 3))  # however late
    shop.counter.show()
    assert (shop.stored(), shop.up_to()) == ({START: 3, NEXT: 1}, 1)
    shop.now *= 2
    shop.counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 3, NEXT: 1}, 2)


def test_what_comes_while_a_window_is_counted_is_not_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.archive(0, (START, 1), (START, 1))
    shop.now = 2 * SECONDS
    count: Callable[..., pa.Table] = window_counter.count_windows

    def counting(*args: object) -> pa.Table:
        found = count(*args)
        shop.archive(1, (START, 2))
        shop.counter.show()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(window_counter, "count_windows", counting)
        shop.counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 1}, 0)
    shop.counter.show()
    assert shop.stored() == {START: 2}
    shop.archive(2, (START, 3))
    shop.counter.show()
    assert shop.stored() == {START: 3}
    shop.now *= 2
    shop.counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 3}, 2)


def test_after_a_kill_what_was_not_counted_is(shop: Shop) -> None:
    """Also what was archived and not told of, and what was shown without copies taken off."""
    shop.archive(0, (START, 1), (START, 1))
    shop.counter.show()
    shop.archive(1, (NEXT, 1), told=False)
    counter = shop.started()
    shop.archive(2, *[(START, 1)] * 5, told=False)
    counter.archived(BatchRange(2, 2, 1), {(START, "view", "a"): (5, 0)})
    counter.show()
    assert shop.stored() == {START: 2}  # what stood is not trusted, and so nothing is added to it
    shop.now = 2 * SECONDS
    counter.settle()
    assert (shop.stored(), shop.up_to()) == ({START: 1, NEXT: 1}, 2)


def test_all_are_counted_at_the_end(shop: Shop) -> None:
    shop.archive(0, (START, 1), (START, 1))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 1}, 0)
    assert shop.started().settle() is None  # and nothing is left for the next
    assert shop.stored() == {START: 1}


def test_an_event_later_than_what_the_archive_keeps_is_added_to_what_stood(shop: Shop) -> None:
    """Counted anew, five hundred events would become the one that is still there."""
    shop.archive(0, *[(START, user) for user in range(500)])
    shop.counter.settle(everything=True)
    store = Archive.of(shop.folders)
    kept: list[int] = []
    delete_old(store, marked(shop.folders), 1, shop.counter.counted(), kept.append)
    assert kept == [1]
    shop.counter.refresh()
    shop.archive(1, (START, 1_000), (NEXT, 1), (NEXT, 1))
    shop.now = 2 * SECONDS
    for _ in range(2):
        shop.counter.settle()
        assert (shop.stored(), shop.up_to()) == ({START: 501, NEXT: 1}, 1)
    shop.archive(2, (START, 1_001))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 502, NEXT: 1}, 2)
    shop.started().settle(everything=True)
    assert shop.stored() == {START: 502, NEXT: 1}


def test_a_folder_that_vanishes_makes_no_count_too_low(shop: Shop) -> None:
    shop.archive(0, (START, 1), (START, 2))
    shop.archive(1, (START, 3))
    shop.counter.show()
    aside = shop.folders.root / "aside"
    gone = shop.folders.archive / BatchRange(0, 0, 1).name
    gone.rename(aside)
    with pytest.raises(FileNotFoundError):
        shop.counter.settle(everything=True)
    assert shop.stored() == {START: 3}
    assert shop.up_to() < 0
    aside.rename(gone)
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 3}, 1)


def test_while_influxdb_is_away_windows_are_counted_and_their_points_are_owed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the archive needs not keep any more is held back until they are written, as the counts are by then."""
    away, taken = [True], list[list[str]]()

    def offer(lines: list[str]) -> bool:
        taken.extend([] if away[0] or not lines else [lines])
        return not away[0]

    def counts(*given: object) -> pa.Table:
        rows = [(start, "view", "a", {START: 2, NEXT: 1}[start], 0.0) for start in sorted(given[2])]
        return window_counter._table(rows)

    monkeypatch.setattr(window_counter, "count_windows", counts)
    monkeypatch.setattr(shop.sink, "offer", offer)
    monkeypatch.setattr("app.stream.owed_points.AT_ONCE", 1)
    shop.archive(0, (START, 1), (START, 1))
    shop.counter.settle(everything=True)
    shop.archive(1, (START, 2), (NEXT, 1))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to(), shop.counter.counted()) == ({START: 2, NEXT: 1}, -1, -1)
    assert taken == []
    away[0] = False
    shop.counter.settle()
    assert [[line.partition(" ")[2] for line in lines] for lines in taken] == [
        [f"events=2i,revenue=0 {START}000"],
        [f"events=1i,revenue=0 {NEXT}000"],
    ]
    assert (shop.up_to(), shop.counter.counted()) == (1, 1)
    shop.counter.settle()
    assert len(taken) == 2
