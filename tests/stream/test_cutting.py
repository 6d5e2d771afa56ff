"""Forgotten users are cut out of the archive and of rejected rows, and the marker never says so too early."""

import os
import time
from datetime import UTC, datetime
from errno import EIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.forgotten_points import ForgottenPoints
from app.api.people import People
from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs, without_uncounted
from app.events.forgotten import ForgottenUsers
from app.events.ids import number_of
from app.events.merged_users import MergedUsers
from app.stream import rejected
from app.stream.archive import Archive
from app.stream.compaction import STEP, UNCOUNTED_KEPT
from app.stream.forgetting import read_marker
from app.stream.rejected import RejectedCleaner
from tests.stream.test_accounts import account, differences
from tests.stream.test_shrinking import Shop

THEN = datetime(2026, 1, 1, tzinfo=UTC)
ANNA, BEN = 501, 502


def fill(shop: Shop, part: BatchRange, *users: int, written: float | None = None) -> None:
    """A folder with an event of each user, and its account."""
    folder = shop.archive.folder / part.name
    folder.mkdir()
    columns = {"event_time": [THEN] * len(users), "user_id": users, "batch": [part.first] * len(users)}
    pq.write_table(pa.table(columns), folder / "part-00000.parquet")
    moment = THEN.timestamp() if written is None else written
    write_manifest(folder, Manifest(rows=len(users), windows=[], written=moment))
    shop.accounts.write(account(part.first, len(users)))


def users_in(shop: Shop) -> dict[str, list[int]]:
    """By name of each folder, whether it counts or not."""
    folders = sorted(path for path in shop.archive.folder.iterdir() if BatchRange.parse(path.name))
    return {
        path.name: [*map(int, pq.read_table(path / "part-00000.parquet")["user_id"].to_pylist())] for path in folders
    }


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Empty; micro-batches are committed up to 3 * STEP."""
    return Shop(tmp_path, rows=False)


def forget(shop: Shop, user: int, ago: float = 3600) -> int:
    return ForgottenUsers(shop.settings.output).forget(user, time.time() - ago)


def run(shop: Shop) -> None:
    shop.shrinking.run(shop.epochs, ForgottenUsers(shop.settings.output).read())


def later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """When what does not count any more is deleted."""
    now = time.time() + UNCOUNTED_KEPT + 60
    monkeypatch.setattr("time.time", lambda: now)


def test_another_folder_takes_the_place_of_one_that_holds_a_forgotten_user(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, other, only = BatchRange(3, 3, 1), BatchRange(70, 70, 1), BatchRange(140, 140, 1)
    fill(shop, both, ANNA, BEN, ANNA)
    fill(shop, other, BEN)
    fill(shop, only, ANNA)
    run(shop)
    assert set(users_in(shop)) == {both.name, other.name, only.name}
    moment = forget(shop, ANNA)
    run(shop)
    assert users_in(shop) == {
        both.name: [ANNA, BEN, ANNA],
        f"{both.name}-c1": [BEN],
        other.name: [BEN],
        only.name: [ANNA],
        f"{only.name}-c1": [],
    }
    assert [part.cut for part in shop.archive.folders(shop.epochs)] == [1, 0, 1]
    files = [f"{shop.archive.folder}/{name}/part-00000.parquet" for name in users_in(shop)]
    assert [name.split("/")[-2] for name in without_uncounted(files, lambda _: [])] == [
        f"{both.name}-c1",
        other.name,
        f"{only.name}-c1",
    ], "what trainings read"
    assert shop.archive.manifest(BatchRange(3, 3, 1, 1)).written == THEN.timestamp(), "as old as it was"
    assert differences(shop.accounts) == shop.said == []
    assert read_marker(shop.folders).archive == moment - 1, "their rows are still on the disk"
    later(shop, monkeypatch)
    run(shop)
    assert users_in(shop) == {f"{both.name}-c1": [BEN], other.name: [BEN], f"{only.name}-c1": []}
    assert read_marker(shop.folders).archive == moment
    assert differences(shop.accounts) == shop.said == []


def test_what_is_put_together_is_without_them(shop: Shop) -> None:
    for batch in (0, 1, STEP):
        fill(shop, BatchRange(batch, batch, 1), ANNA, BEN)
    forget(shop, ANNA)
    run(shop)
    first, second = shop.archive.folders(shop.epochs)
    assert (first, second) == (BatchRange(0, STEP - 1, 1), BatchRange(STEP, STEP, 1, 1))
    assert users_in(shop)[first.name] == [BEN, BEN]
    assert shop.archive.manifest(first).cut == 2
    assert differences(shop.accounts) == shop.said == []


def test_who_is_forgotten_later_is_cut_out_of_what_was_cut(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    part = BatchRange(3, 3, 1)
    fill(shop, part, ANNA, BEN)
    first = forget(shop, ANNA, ago=7200)
    run(shop)
    forget(shop, BEN, ago=3600)
    run(shop)
    assert users_in(shop) == {part.name: [ANNA, BEN], f"{part.name}-c1": [BEN], f"{part.name}-c2": []}
    assert shop.archive.manifest(BatchRange(3, 3, 1, 2)).cut == 2
    assert read_marker(shop.folders).archive == first - 1
    later(shop, monkeypatch)
    run(shop)
    assert users_in(shop) == {f"{part.name}-c2": []}
    assert differences(shop.accounts) == []


def test_a_folder_that_is_away_for_a_moment_is_looked_at_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are looked at all the same."""
    away, there = BatchRange(3, 3, 1), BatchRange(70, 70, 1)
    fill(shop, away, ANNA, BEN)
    fill(shop, there, ANNA)
    forget(shop, ANNA)
    with monkeypatch.context() as gone:
        files = Archive.files

        def refusing(archive: Archive, part: BatchRange) -> list[Path]:
            if part == away:
                raise OSError(EIO, "Input/output error", part.name)
            return files(archive, part)

        gone.setattr(Archive, "files", refusing)
        run(shop)
    assert users_in(shop) == {away.name: [ANNA, BEN], there.name: [ANNA], f"{there.name}-c1": []}
    run(shop)
    assert users_in(shop)[f"{away.name}-c1"] == [BEN]


def test_all_who_were_one_are_cut_out(shop: Shop) -> None:
    """The archive has the ids that events came with."""
    with (merged := MergedUsers(shop.settings.output)).alone():
        merged.add(ANNA, BEN, str(BEN), 1.0)
    fill(shop, BatchRange(3, 3, 1), ANNA, BEN, 503)
    path = reject(shop, 3, "2019,view,1,501,s", "2019,view,1,502,s", "2019,view,1,503,s")
    os.utime(path, (5, 5))
    points = ForgottenPoints(shop.settings, time.time)
    People(shop.settings, False, points, lambda: time.time() - 3600).forget(str(ANNA))
    run(shop)
    RejectedCleaner(shop.folders, shop.settings).run(ForgottenUsers(shop.settings.output).read())
    assert users_in(shop)[BatchRange(3, 3, 1, 1).name] == [503]
    assert rows_of(path) == ["2019,view,1,503,s"]
    assert differences(shop.accounts) == []


def test_what_may_be_under_way_is_waited_for(shop: Shop) -> None:
    """A forgetting of just now; a micro-batch that may be done again; events from after the forgetting."""
    fill(shop, BatchRange(3, 3, 1), ANNA)
    fill(shop, BatchRange(3 * STEP + 1, 3 * STEP + 1, 1), ANNA)
    forget(shop, ANNA, ago=5)
    run(shop)
    assert len(users_in(shop)) == 2
    assert read_marker(shop.folders).archive == 0
    moment = forget(shop, BEN)
    run(shop)
    assert read_marker(shop.folders).archive == 0, "the last one is not committed"
    (shop.archive.folder / BatchRange(3 * STEP + 1, 3 * STEP + 1, 1).name).rename(shop.folders.root / "gone")
    run(shop)
    assert read_marker(shop.folders).archive == moment
    fill(shop, BatchRange(3 * STEP + 2, 3 * STEP + 2, 1), BEN, written=time.time())
    second = forget(shop, 503, ago=3000)
    run(shop)
    assert read_marker(shop.folders).archive == second, "a folder of later is not looked at"


def test_new_forgettings_keep_no_folder_from_being_looked_at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time there is time for one folder, and a new forgetting."""
    parts = [BatchRange(number, number, 1) for number in (3, 70, 140)]
    for part in parts:
        fill(shop, part, ANNA)
    forget(shop, ANNA, ago=9000)
    for ago in (8000, 7000, 6000):
        asked = iter((True, True, True, False))  # by what is put together before, and for one folder
        monkeypatch.setattr(shop.shrinking, "_may_delete", lambda asked=asked: next(asked, False))
        run(shop)
        forget(shop, BEN, ago=ago)
    assert [part.cut for part in shop.archive.folders(shop.epochs)] == [1, 1, 1]


def test_a_damaged_folder_is_told_and_never_done(shop: Shop) -> None:
    fill(shop, BatchRange(3, 3, 1), ANNA, BEN)
    fill(shop, BatchRange(4, 4, 1), ANNA)
    (shop.archive.folder / BatchRange(3, 3, 1).name / "part-00000.parquet").write_bytes(b"PAR1")
    forget(shop, ANNA)
    run(shop)
    assert [text.partition(":")[0] for text in shop.said] == ["forgotten users stay where they are"]
    assert shop.archive.folders(shop.epochs) == [BatchRange(3, 3, 1), BatchRange(4, 4, 1, 1)]
    assert read_marker(shop.folders).archive == 0


@given(
    cuts=st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 3), st.integers(0, 3)), max_size=12),
    second=st.integers(0, 4),
)
@settings(deadline=None)
def test_of_folders_of_one_micro_batch_the_latest_cut_counts(cuts: list[tuple[int, int, int]], second: int) -> None:
    """Written by an owner of it; numbers below zero are of the first edition."""
    epochs = Epochs(((1, 0), (2, second)))
    parts = [BatchRange(n, n, e, c) if n >= 0 else BatchRange(n - 10**8, n - 10**8, 0, c) for n, e, c in cuts]
    assert [BatchRange.parse(part.name) for part in parts] == parts
    for counting in epochs.counting(parts):
        rivals = [part for part in parts if part.first == counting.first and part.epoch >= epochs.owner(part.first)]
        assert (counting.epoch, counting.cut) == max((part.epoch, part.cut) for part in rivals)
        after = counting.after_cut(3)
        assert after in epochs.counting([*parts, after])
        assert counting not in epochs.counting([*parts, after])


# --- Rejected rows -----------------------------------------------------------------------------------


def test_a_damaged_file_of_rejected_rows_ends_no_stream(shop: Shop) -> None:
    """It may name the user, and nobody can read it."""
    path = reject(shop, 3, "2019,view,1,501,s", "2019,view,1,502,s")
    path.write_bytes(path.read_bytes()[:-40])
    os.utime(path, (5, 5))
    moment = forget(shop, ANNA)
    RejectedCleaner(shop.folders, shop.settings).run(ForgottenUsers(shop.settings.output).read())
    assert not path.exists()
    assert read_marker(shop.folders).rejected == moment


def reject(shop: Shop, batch: int, *rows: str) -> Path:
    folder = shop.folders.rejected / BatchRange(batch, batch, 1).name
    folder.mkdir()
    path = folder / "part-00000.parquet"
    pq.write_table(pa.table({"reason": ["x"] * len(rows), "row": rows, "source_file": ["f"] * len(rows)}), path)
    return path


def rows_of(path: Path) -> list[str]:
    return [str(row) for row in pq.read_table(path)["row"].to_pylist()]


def test_rejected_rows_of_the_forgotten_are_deleted(shop: Shop) -> None:
    theirs, other = reject(shop, 1, "2019,view,1,501.0,s", "2019,view,1,5011,s"), reject(shop, 2, "2019,what,1,502,s")
    new = reject(shop, 3, "2019,view,1,501,s")
    old, came = time.time() - 7200, other.stat().st_mtime_ns
    for path in (theirs, other):
        os.utime(path, (old, old))
    os.utime(theirs.parent, (old, old))
    moment = forget(shop, ANNA)
    cleaner = RejectedCleaner(shop.folders, shop.settings)
    cleaner.run(ForgottenUsers(shop.settings.output).read())
    assert rows_of(theirs) == ["2019,view,1,5011,s"]
    assert abs(theirs.parent.stat().st_mtime - old) < 1, "it is deleted with its day"
    assert rows_of(other) == ["2019,what,1,502,s"]
    assert came > other.stat().st_mtime_ns
    assert rows_of(new) == ["2019,view,1,501,s"], "of somebody new"
    assert read_marker(shop.folders).rejected == moment


def test_rejected_rows_are_looked_through_for_some_seconds_at_a_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here for one file; new forgettings keep it from none, and the marker waits for all."""
    paths = [reject(shop, batch, "2019,view,1,501,s", "2019,view,1,502,s", "2019,view,1,503,s") for batch in range(3)]
    for path in paths:
        os.utime(path, (5, 5))
    monkeypatch.setattr("app.stream.rejected.SECONDS_AT_ONCE", -1.0)
    cleaner, users = RejectedCleaner(shop.folders, shop.settings), ForgottenUsers(shop.settings.output)
    first = forget(shop, ANNA, ago=9000)
    left, markers = list[list[int]](), list[int]()
    for second in (False, False, True, False, False):
        if second:
            forget(shop, BEN, ago=8000)
        cleaner.run(users.read())
        left.append(sorted(len(rows_of(path)) for path in paths))
        markers.append(read_marker(shop.folders).rejected)
    assert left == [[2, 3, 3], [2, 2, 3], [1, 2, 2], [1, 1, 2], [1, 1, 1]]
    assert markers == [0, 0, first, first, users.read().latest]


def test_files_of_rejected_rows_that_take_long_to_fail_keep_none_from_being_looked_at(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here there is time for one file in a run. Of two that are away one comes back."""
    paths = [reject(shop, batch, "2019,view,1,501,s", "2019,view,1,502,s") for batch in range(3)]
    for path in paths:
        os.utime(path, (5, 5))
    away, real = paths[:2], rejected.read_or_delete

    def reading(path: Path) -> pa.Table | None:
        if path in away:
            raise OSError(EIO, "Input/output error", str(path))
        return real(path)

    monkeypatch.setattr(rejected, "read_or_delete", reading)
    monkeypatch.setattr(rejected, "SECONDS_AT_ONCE", -1.0)
    cleaner, users = RejectedCleaner(shop.folders, shop.settings), ForgottenUsers(shop.settings.output)
    moment = forget(shop, ANNA)
    for _ in paths:
        cleaner.run(users.read())
    assert ([len(rows_of(path)) for path in paths], read_marker(shop.folders).rejected) == ([2, 2, 1], 0)
    away.remove(paths[1])
    for _ in range(2):
        cleaner.run(users.read())
    assert ([len(rows_of(path)) for path in paths], read_marker(shop.folders).rejected) == ([2, 1, 1], 0)
    away.clear()
    cleaner.run(users.read())
    assert ([len(rows_of(path)) for path in paths], read_marker(shop.folders).rejected) == ([1, 1, 1], moment)


def test_rejected_rows_that_were_taken_out_are_accounted_for(shop: Shop) -> None:
    """Twice out of the same file, until it is empty, and by the next stream as well; a row that is lost is told."""
    path = reject(shop, 3, "2019,view,1,501,s", "2019,view,1,502,s")
    os.utime(path, (5, 5))
    counted = {"late": 0, "asked": 0, "lists": 0, "list_rows": 0}
    shop.accounts.write(account(3, 2, archived=0, rejected=2, **counted))
    assert differences(shop.accounts) == []
    for user, ago, left in ((ANNA, 7200, ["2019,view,1,502,s"]), (BEN, 3600, [])):
        forget(shop, user, ago)
        RejectedCleaner(shop.folders, shop.settings).run(ForgottenUsers(shop.settings.output).read())
        os.utime(path, (5, 5))
        assert rows_of(path) == left
        assert differences(shop.accounts) == differences(shop.next(2)) == []
    path.unlink()
    assert differences(shop.next(2)) == ["micro-batch 3: 2 rejected rows must be there, 0 are"]


def test_an_id_of_text_is_found_in_a_rejected_row(shop: Shop, tmp_path: Path) -> None:
    layout = tmp_path / "layout.yaml"
    layout.write_text("columns: {event_time: t, event_type: e, product_id: p, user_id: u}\nids: text\ndelimiter: ';'\n")
    path = reject(shop, 1, '2019;view;"anna";s', "2019;view;ben;s")
    os.utime(path, (5, 5))
    number = number_of("anna", text_ids=True)
    assert number is not None
    forget(shop, number)
    text = Settings(output=shop.settings.output, layout=layout)
    RejectedCleaner(shop.folders, text).run(ForgottenUsers(shop.settings.output).read())
    assert rows_of(path) == ["2019;view;ben;s"]
