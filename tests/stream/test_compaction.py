"""What is put together counts, and holds what its parts held, whoever began and ended meanwhile."""

import os
import time
from errno import EIO
from pathlib import Path
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.events.archive_names import BatchRange, Epochs
from app.stream import archive as archive_module
from app.stream import compaction
from app.stream.archive import Archive, write_points
from app.stream.compaction import LONGEST, STEP, delete_old, delete_uncounted, due, put_together
from app.stream.first_edition import take_over
from app.stream.folders import StreamFolders
from tests.stream.test_accounts import EPOCHS, cut, fill

LATER = time.time() + 10 * 86_400  # later than the tests that come before these may take


def single(batch: int, epochs: Epochs = EPOCHS) -> BatchRange:
    return BatchRange(batch, batch, epochs.owner(batch))


def held(archive: Archive, part: BatchRange) -> list[int]:
    """Which micro-batch each row of a folder is of."""
    return [batch for path in archive.files(part) for batch in pq.read_table(path)["batch"].to_pylist()]


def kept_from(archive: Archive, before: float, counted: int) -> int:
    """Delete what is old; the first micro-batch that stays."""
    told: list[int] = []
    delete_old(archive, EPOCHS, before, counted, told.append)
    return told[-1]


def test_small_folders_become_one(archive: Archive) -> None:
    batches = [0, 1, 5, STEP - 1, STEP]
    for batch in batches:
        fill(archive, single(batch), 4 if batch else 2, written=batch)
    assert [*due(archive.folders(EPOCHS)[:-2], EPOCHS, STEP)] == []  # its range is not complete
    assert [*due(archive.folders(EPOCHS), EPOCHS, STEP - 2)] == []  # nor committed: it may be done again by the next
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP - 1)
    assert (target, [part.first for part in parts]) == (BatchRange(0, STEP - 1, 2), batches[:-1])
    put_together(archive, target, parts, lambda: None)
    assert archive.folders(EPOCHS) == [target, single(STEP)]
    assert held(archive, target) == [0, 0, *[1] * 4, *[5] * 4, *[STEP - 1] * 4]
    assert archive.manifest(target).rows == 14
    assert len(archive.manifest(target).windows) == 4
    assert (archive.manifest(target).oldest, archive.manifest(target).written) == (0, STEP - 1)
    assert [*due(archive.folders(EPOCHS), EPOCHS, STEP)] == []


def test_a_range_whose_end_a_later_stream_owns_without_a_folder_in_it(archive: Archive) -> None:
    """All that the second had taken in by the end of the range was rejected: no rows, no folder."""
    epochs = Epochs(((1, 0), (2, STEP - 2)))
    for batch in (0, 1, STEP):
        fill(archive, single(batch, epochs), 3)
    ((target, parts),) = due(archive.folders(epochs), epochs, STEP)
    put_together(archive, target, parts, lambda: None)
    for _ in range(2):
        delete_uncounted(archive, epochs, LATER)
    assert archive.folders(epochs) == [BatchRange(0, STEP - 1, 2), single(STEP, epochs)]
    assert archive.rows(epochs) == 9


@settings(deadline=None)
@given(
    starts=st.lists(st.integers(0, 3 * STEP), max_size=4).map(sorted),
    batches=st.sets(st.integers(0, 4 * STEP), max_size=40),
    late=st.lists(st.tuples(st.integers(0, 4 * STEP), st.integers(1, 4)), max_size=8),
    committed=st.integers(-1, 4 * STEP),
)
def test_what_is_put_together_counts(
    starts: list[int], batches: set[int], late: list[tuple[int, int]], committed: int
) -> None:
    """In place of all its parts and of nothing else, now and when the next stream has begun."""
    epochs = Epochs(tuple(enumerate([0, *starts], 1)))
    there = [single(batch, epochs) for batch in batches] + [BatchRange(batch, batch, epoch) for batch, epoch in late]
    before = epochs.counting(there)
    for target, parts in due(before, epochs, committed):
        expected = sorted([target, *(part for part in before if part not in parts)])
        assert epochs.counting([*there, target]) == expected
        following = Epochs((*epochs.starts, (len(epochs.starts) + 1, committed + 1)))
        assert target in following.counting([*there, target])
        assert {part for part in before if target.holds(part)} == {*parts}


def test_what_was_put_together_stays_for_some_hours(archive: Archive) -> None:
    """A training may have listed it; it goes only if what counts in its place is whole."""
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    put_together(archive, target, parts, lambda: None)
    delete_uncounted(archive, EPOCHS, time.time() - 60)
    assert len(list(archive.folder.iterdir())) == 4
    (path,) = archive.files(target)
    whole = path.read_bytes()
    pq.write_table(pq.read_table(path).slice(1), path)
    delete_uncounted(archive, EPOCHS, LATER)
    assert len(list(archive.folder.iterdir())) == 4
    path.write_bytes(whole)
    delete_uncounted(archive, EPOCHS, LATER)
    assert archive.folders(EPOCHS) == [target, single(STEP)]
    assert len(list(archive.folder.iterdir())) == 2


def test_nothing_is_put_together_by_a_stream_that_was_replaced(archive: Archive) -> None:
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)

    def lost() -> None:
        raise VitrineError("another has taken over")

    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    with pytest.raises(VitrineError, match="taken over"):
        put_together(archive, target, parts, lost)
    assert archive.folders(EPOCHS) == [*parts, single(STEP)]


def test_windows_of_a_folder_that_is_deleted_though_it_is_away_are_not_counted_anew(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What windows they are it can't say: none that began after it was filled."""
    part = single(0)
    fill(archive, part, 4)
    monkeypatch.setattr(archive_module, "read_manifest", Mock(side_effect=OSError(EIO, "Input/output error")))
    archive.note_deleted(part)
    assert archive.deleted_up_to() == round(archive.made(part) * 1_000_000)


def test_folders_that_are_not_whole_are_not_put_together(archive: Archive) -> None:
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)
    (archive.folder / single(1).name / "part-00000.parquet").unlink()
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    with pytest.raises(VitrineError, match="must hold 8 rows, its folders hold 4"):
        put_together(archive, target, parts, lambda: None)
    assert len(list(archive.folder.iterdir())) == 3


@pytest.mark.parametrize("damaged", ["part-00000.parquet", "_points.lp.gz"])
def test_a_damaged_file_is_named_and_nothing_is_put_together(archive: Archive, damaged: str) -> None:
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)
        write_points(archive.folder / single(batch).name, [f"lists,generator=a x={batch}i {batch}"])
    cut(archive.folder / single(1).name / damaged)
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    with pytest.raises(VitrineError, match=f"{single(1).name}/{damaged}: is damaged"):
        put_together(archive, target, parts, lambda: None)
    assert {path.name for path in archive.folder.iterdir()} == {single(batch).name for batch in (0, 1, STEP)}


def test_what_a_damaged_file_was_put_together_from_stays(archive: Archive) -> None:
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    put_together(archive, target, parts, lambda: None)
    cut(archive.folder / target.name / "part-00000.parquet")
    delete_uncounted(archive, EPOCHS, LATER)
    assert len(list(archive.folder.iterdir())) == 4


def test_nothing_is_left_of_what_a_lost_folder_kept_from_being_put_together(archive: Archive) -> None:
    for batch in (0, 1, STEP):
        fill(archive, single(batch), 4)
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    gone = Mock(wraps=archive, folder=archive.folder)
    gone.files.side_effect = [archive.files(parts[0]), FileNotFoundError(2, "is gone")]
    with pytest.raises(FileNotFoundError):
        put_together(gone, target, parts, lambda: None)
    assert len(list(archive.folder.iterdir())) == 3


def test_no_folder_is_of_more_than_a_day() -> None:
    folders = [BatchRange(number, number, 1) for number in range(STEP + 1)]
    assert [*due(folders, EPOCHS, STEP, lambda parts: LONGEST + 1)] == []
    assert len([*due(folders, EPOCHS, STEP, lambda parts: LONGEST)]) == 1


def test_what_does_not_count_is_deleted(archive: Archive) -> None:
    late, own, part = BatchRange(3, 3, 1), BatchRange(3, 3, 2), BatchRange(70, 70, 2)
    larger = BatchRange(STEP, 2 * STEP - 1, 2)
    for each in (late, own, part, larger):
        fill(archive, each, 1)
        (archive.rejected / each.name).mkdir()
    delete_uncounted(archive, EPOCHS, LATER)
    names = {own.name, larger.name}
    assert (
        {path.name for path in archive.folder.iterdir()} == {path.name for path in archive.rejected.iterdir()} == names
    )


def test_with_a_folder_that_is_too_old_goes_what_it_was_put_together_from(archive: Archive) -> None:
    """Or it would count again."""
    for batch in (0, 1, STEP, STEP + 1):
        fill(archive, single(batch), 2, written=batch)
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    put_together(archive, target, parts, lambda: None)
    assert kept_from(archive, STEP + 1, counted=STEP - 2) == 0  # not yet in windows
    assert kept_from(archive, STEP + 1, counted=STEP) == STEP + 1
    assert {path.name for path in archive.folder.glob("b*")} == {single(STEP + 1).name}


def test_a_folder_of_the_first_edition_is_as_old_as_it_is(tmp_path: Path) -> None:
    """Not as its manifest, which is written when this edition takes over."""
    given_settings = Settings(output=tmp_path)
    folders = StreamFolders.of(given_settings)
    folders.prepare()
    archive, old = Archive.of(folders), BatchRange(7 - 10**9, 7 - 10**9, 0)
    fill(archive, old, 2)
    (archive.folder / old.name / "_batch.json").unlink()
    os.utime(archive.folder / old.name, (5, 5))
    take_over(Mock(), given_settings, folders, tmp_path / "epoch")
    assert archive.written(old) == 5
    fill(archive, single(0), 2, written=9)
    assert kept_from(archive, 6, counted=0) == 0
    assert archive.folders(EPOCHS) == [single(0)]


def test_putting_together_is_for_hours_not_for_days() -> None:
    """The levels hold one another."""
    assert all(larger % smaller == 0 for smaller, larger in zip(compaction.LEVELS, compaction.LEVELS[1:], strict=False))
