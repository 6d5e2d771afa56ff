"""Windows are shown as events come, and counted anew once they are left alone: in whatever order that happens."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from errno import EIO
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from app.core.settings import Settings
from app.events.archive import ARCHIVE_SCHEMA
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange
from app.stream import archive_counts, away_files, window_files
from app.stream.archive import Archive
from app.stream.compaction import delete_old
from app.stream.epoch import Epoch, begin, marked
from app.stream.folders import StreamFolders
from app.stream.points import PointSink
from app.stream.window_counter import WindowCounter
from app.stream.window_files import counted_up_to, read_windows
from app.stream.window_sums import table

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)
START = int(NOON.timestamp()) * 1_000_000
NEXT = START + 300_000_000
SECONDS = 5.0
ARCHIVED_ROWS = to_arrow_schema(ARCHIVE_SCHEMA, timezone="UTC")


class Points(PointSink):
    """Keeps lines in place of an InfluxDB."""

    def __init__(self) -> None:
        super().__init__(None, lambda: False, lambda: None, print)
        self.lines: list[str] = []

    def offer(self, lines: list[str], seconds: float | None = None) -> bool:
        self.lines += lines
        return True


class Shop:
    """An archive, a counter over it, and a clock."""

    def __init__(self, folder: Path):
        self.settings = Settings(output=folder, windows_seconds=SECONDS)
        self.folders = StreamFolders.of(self.settings)
        self.folders.prepare()
        self.now = 0.0
        self.sink = PointSink(None, lambda: False, lambda: None, print)
        self.said = list[str]()
        self.epoch = begin(self.folders, 1)
        (self.epoch.checkpoint / "commits").mkdir(parents=True)
        self.counter = self.started()

    def started(self, epoch: Epoch | None = None, points: PointSink | None = None) -> WindowCounter:
        return WindowCounter(
            self.settings,
            self.folders,
            epoch or self.epoch,
            points or self.sink,
            self.said.append,
            clock=lambda: self.now,
        )

    def archive(self, batch: int, *events: tuple[int, int], told: bool = True, committed: bool = True) -> None:
        """(start of the window, user): views of category a; `told` and `committed` unless the stream was killed."""
        part = BatchRange(batch, batch, 1)
        folder = self.folders.archive / part.name
        folder.mkdir(exist_ok=True)
        rows = [
            {"event_time": datetime.fromtimestamp(start / 1e6, UTC), "event_type": "view", "category_code": "a.x"}
            | {"product_id": 1, "user_id": user, "quantity": 1.0}
            for start, user in events
        ]
        pq.write_table(pa.Table.from_pylist(rows, ARCHIVED_ROWS), folder / "part-00000.parquet")
        windows = sorted({start for start, _ in events})
        write_manifest(folder, Manifest(rows=len(rows), windows=windows, written=0))
        if told:
            starts = [start for start, _ in events]
            self.counter.archived(part, {(start, "view", "a"): (starts.count(start), 0) for start in windows})
        if committed:
            (self.epoch.checkpoint / "commits" / str(batch)).touch()

    def stored(self) -> dict[int, int]:
        rows = read_windows(self.folders.windows, marked(self.folders)).to_pylist()
        return {int(row["start"].timestamp() * 1_000_000): row["events"] for row in rows}

    def up_to(self) -> int:
        return counted_up_to(self.folders.windows, self.epoch.number)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


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
    count: Callable[..., pa.Table] = archive_counts.count_windows

    def counting(*args: object) -> pa.Table:
        found = count(*args)
        shop.archive(1, (START, 2))
        shop.counter.show()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(archive_counts, "count_windows", counting)
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


def five_hundred_and_no_archive(shop: Shop) -> None:
    """As many were counted, and are in the archive no longer."""
    shop.archive(0, *[(START, user) for user in range(500)])
    shop.counter.settle(everything=True)
    store = Archive.of(shop.folders)
    kept: list[int] = []
    delete_old(store, marked(shop.folders), 1, shop.counter.counted(), kept.append)
    assert kept == [1]
    shop.counter.refresh()


def test_an_event_later_than_what_the_archive_keeps_is_added_to_what_stood(shop: Shop) -> None:
    """Counted anew, five hundred events would become the one that is still there."""
    five_hundred_and_no_archive(shop)
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


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "the query begun anew"])
def test_such_an_event_is_added_once_though_its_micro_batch_is_done_again(shop: Shop, killed: bool) -> None:
    """While InfluxDB is away a micro-batch that is in the archive waits, and windows are shown; then comes kill -9."""
    five_hundred_and_no_archive(shop)
    shop.archive(1, (START, 1_000), (NEXT, 1), committed=False)
    shop.counter.show()
    assert shop.stored() == {START: 500, NEXT: 1}
    shop.counter.settle(everything=True)
    assert shop.up_to() == 0
    if killed:
        shop.counter = shop.started()
    shop.archive(1, (START, 1_000), (NEXT, 1))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 501, NEXT: 1}, 1)


def test_such_a_count_comes_to_influxdb_though_the_stream_was_killed_before(shop: Shop) -> None:
    """It is in the file, and its point waits for InfluxDB."""
    five_hundred_and_no_archive(shop)
    shop.archive(1, (START, 1_000))
    shop.counter.show()
    points = Points()
    shop.started(points=points).settle(everything=True)
    assert [line.split(" ")[1].split(",")[0] for line in points.lines] == ["events=501i"]
    assert shop.stored() == {START: 501}


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


@pytest.mark.parametrize("killed", [False, True])
def test_a_damaged_file_of_counts_is_set_aside_and_its_windows_are_counted_again(shop: Shop, killed: bool) -> None:
    """Though the stream is killed just then; a window of another day stands."""
    tomorrow = START + 86_400_000_000
    shop.archive(0, (START, 1), (START, 2), (tomorrow, 1))
    shop.archive(1, (NEXT, 1))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 1, tomorrow: 1}, 1)
    (day,) = shop.folders.windows.glob("2019-10-01.*")
    whole = day.read_bytes()
    day.write_bytes(whole[:60])
    shop.archive(2, (NEXT, 5))
    (said,) = shop.said
    assert said.startswith(f"{day}: is damaged (")
    assert (shop.folders.damaged / f"windows-{day.name}").read_bytes() == whole[:60]
    assert shop.up_to() == -1, "killed now, all of it is counted by the next stream"
    if killed:
        shop.counter = shop.started()
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 2, tomorrow: 1}, 2)
    day.write_bytes(b"")
    shop.counter = shop.started()
    shop.archive(3, (NEXT, 6))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to(), len(shop.said)) == ({START: 2, NEXT: 3, tomorrow: 1}, 3, 2)


@pytest.mark.parametrize("when", ["while it runs", "before it starts", "looked at alone", "written to before"])
def test_a_day_without_its_file_is_missed_and_counted_again(
    shop: Shop, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nobody asks for its windows; one that the archive has nothing of is told once."""
    tomorrow = START + 86_400_000_000
    shop.archive(0, (START, 1), (START, 2), (tomorrow, 1))
    shop.counter.settle(everything=True)
    shop.counter.look()
    assert shop.said == []
    (day,) = shop.folders.windows.glob("2019-10-01.*")
    if when == "looked at alone":
        day.write_bytes(b"PAR1, once")
        shop.counter.look()
        shop.counter.look()  # each in its turn
    else:
        day.unlink()
        if when == "before it starts":
            (shop.epoch.checkpoint / "commits" / "0").touch()
            epoch = begin(shop.folders, 2)
            shop.epoch, shop.counter = epoch, shop.started(epoch)
            day = day.with_name("2019-10-01.e000002.parquet")
        if when == "written to before":
            shop.archive(1, (NEXT, 7))
            shop.counter.show()
            assert shop.stored() == {NEXT: 1, tomorrow: 1}
        shop.counter.look()
    (said,) = shop.said
    assert said.startswith(f"{day}: is {'damaged (' if when == 'looked at alone' else 'gone; its windows'}")
    later = {NEXT: 1} if when == "written to before" else {}
    assert (shop.stored(), shop.up_to()) == ({tomorrow: 1} | later, -1)
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2, tomorrow: 1} | later, len(later))
    for _ in range(3):
        shop.counter.look()
    assert len(shop.said) == 1


def test_a_day_that_the_archive_has_nothing_of_is_missed_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.archive(0, (START, 1))
    shop.counter.settle(everything=True)
    delete_old(Archive.of(shop.folders), marked(shop.folders), float("inf"), 0, lambda first: None)
    shop.counter.refresh()
    (day,) = shop.folders.windows.glob("2019-10-01.*")
    day.unlink()
    for _ in range(3):
        shop.counter.look()
        shop.counter.settle(everything=True)
    assert [line.partition(";")[0] for line in shop.said] == [f"{day}: is gone"]
    assert shop.stored() == {}


def test_a_file_that_is_away_for_long_holds_up_its_own_windows_and_not_for_ever(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its rows are left out and what it holds up is counted; once it is there again, by a later stream too."""
    away = shop.folders.archive / BatchRange(0, 0, 1).name / "part-00000.parquet"
    gone = [away]

    def refusing(path: Path) -> None:
        if path in gone:
            raise OSError(EIO, "Input/output error", str(path))

    count: Callable[..., pa.Table] = archive_counts.count_windows

    def counting(files: list[Path], *others: object) -> pa.Table:
        for path in files:
            refusing(path)
        return count(files, *others)

    monkeypatch.setattr(archive_counts, "count_windows", counting)
    monkeypatch.setattr(away_files, "read_through", refusing)
    shop.archive(0, (START, 1), (START, 2))
    shop.archive(1, (START, 3), (NEXT, 1), (NEXT, 2))
    later = NEXT + 300_000_000
    shop.archive(2, (later, 1))
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 3, NEXT: 2, later: 1}, -1)
    shop.archive(3, (START, 4))  # shown as ever
    shop.counter.show()
    assert shop.stored()[START] == 4
    shop.now = away_files.PATIENCE - 1
    shop.counter.look()
    shop.counter.settle(everything=True)
    assert (shop.stored()[START], shop.up_to(), shop.said) == (4, -1, [])
    shop.now += 2
    shop.counter.look()
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 2, later: 1}, 3)
    assert shop.said == [
        f"{away}: Input/output error, for 15 minutes now; windows are counted without it until it is there again"
    ]
    shop.counter = shop.started()
    shop.counter.look()
    shop.counter.settle(everything=True)
    assert (shop.stored()[START], shop.up_to()) == (2, 3)
    gone.clear()
    shop.counter.look()
    assert shop.up_to() == -1, "killed now, it is counted by the next stream"
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to(), len(shop.said)) == ({START: 4, NEXT: 2, later: 1}, 3, 1)


def test_patience_ends_however_long_a_try_takes_to_fail() -> None:
    now, failing = [0.0], 200.0
    patience = away_files.Patience(lambda: now[0], SECONDS)
    while now[0] < 2 * away_files.PATIENCE:
        begun = patience.now()
        now[0] += failing
        if patience.ends(Path("2019-10-01.parquet"), begun):
            break
        now[0] += SECONDS
    assert away_files.PATIENCE <= now[0] < away_files.PATIENCE + failing + SECONDS


@pytest.mark.parametrize("seconds", [30.0, 150.0])
def test_a_file_of_counts_that_is_away_for_long_is_set_aside(
    seconds: float, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile events come in all the same, and nothing of them is lost; not even what is added to a late window."""
    shop.settings = shop.settings.model_copy(update={"windows_seconds": seconds})
    shop.counter = shop.started()
    shop.archive(0, (START, 1))
    shop.counter.settle(everything=True)
    (day,) = shop.folders.windows.glob("2019-10-01.*")
    real, away = window_files.read_day, [True]

    def reading(path: Path) -> pa.Table:
        if path == day and away and not shop.said:
            raise OSError(EIO, "[Errno 5] of Arrow's: long")
        return real(path)

    def tries(until: float) -> None:
        while shop.now < until:
            for job in (shop.counter.show, shop.counter.settle):
                with suppress(OSError):
                    job()
            shop.now += seconds

    monkeypatch.setattr(window_files, "read_day", reading)
    shop.archive(1, (START, 2), (NEXT, 1))
    tries(away_files.PATIENCE / 2)
    away.clear()  # back in time
    tries(shop.now + 2 * away_files.GAP + 4 * seconds)
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 1}, 1)
    away.append(True)
    shop.archive(2, (START, 3))
    tries(shop.now + away_files.PATIENCE - 1)
    assert shop.said == []
    tries(shop.now + 5 * seconds)
    assert (shop.stored(), shop.up_to()) == ({START: 3, NEXT: 1}, 2)
    (said,) = shop.said
    assert said.startswith(f"{day}: is damaged (Input/output error, for 15 minutes now); moved to ")


def test_what_comes_into_a_window_of_long_ago_waits_for_its_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.archive(0, (START, 1))
    shop.counter.settle(everything=True)
    delete_old(Archive.of(shop.folders), marked(shop.folders), float("inf"), 0, lambda first: None)
    shop.counter.refresh()
    shop.archive(1, (START, 2))
    with monkeypatch.context() as away:
        away.setattr(window_files, "read_day", Mock(side_effect=OSError(EIO, "Input/output error")))
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                shop.counter.settle(everything=True)
    for _ in range(2):  # what stood is known again; then the sum is shown
        shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2}, 1)


def test_a_folder_that_is_away_as_the_stream_starts_is_counted_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.archive(0, (START, 1))
    shop.archive(1, (START, 2), (NEXT, 1))
    with monkeypatch.context() as away:
        windows = Archive.windows

        def refusing(archive: Archive, part: BatchRange, minutes: int) -> list[int]:
            if part.first == 0:
                raise OSError(EIO, "Input/output error", part.name)
            return windows(archive, part, minutes)

        away.setattr(Archive, "windows", refusing)
        shop.counter = shop.started()
        shop.counter.settle(everything=True)
        assert (shop.stored(), shop.up_to()) == ({START: 1, NEXT: 1}, -1), "killed here, the next start counts it"
    shop.counter.refresh()
    shop.counter.settle(everything=True)
    assert (shop.stored(), shop.up_to()) == ({START: 2, NEXT: 1}, 1)


def test_windows_of_a_folder_that_is_away_for_a_moment_are_known_later(shop: Shop) -> None:
    """Without its manifest they come from its events: of a folder that is not there it is not said that it has none."""
    part, archive = BatchRange(0, 0, 1), Archive.of(shop.folders)
    shop.archive(0, (START, 1))
    (archive.folder / part.name / "_batch.json").unlink()
    aside = shop.folders.root / "aside"
    (archive.folder / part.name).rename(aside)
    with pytest.raises(FileNotFoundError):
        archive.windows(part, 5)
    aside.rename(archive.folder / part.name)
    assert archive.windows(part, 5) == [START]


def test_while_influxdb_is_away_windows_are_counted_and_their_points_are_owed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the archive needs not keep any more is held back until they are written, as the counts are by then."""
    away, taken = [True], list[list[str]]()

    def offer(lines: list[str], seconds: float | None = None) -> bool:
        taken.extend([] if away[0] or not lines else [lines])
        return not away[0]

    def counts(*given: object) -> pa.Table:
        rows = [(start, "view", "a", {START: 2, NEXT: 1}[start], 0.0) for start in sorted(given[1])]
        return table(rows)

    monkeypatch.setattr(archive_counts, "count_windows", counts)
    monkeypatch.setattr(shop.sink, "offer", offer)
    monkeypatch.setattr(shop.counter._owed, "_portion", 1)
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
