"""An epoch begins with a copy of the checkpoint before it, into which nothing written late can come."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from app.events.archive_names import mark_name
from app.stream import epoch as module
from app.stream.epoch import begin, check_marks, current, drop_marks, marked
from app.stream.folders import StreamFolders
from app.stream.source_log import consumed_files


@pytest.fixture
def folders(tmp_path: Path) -> StreamFolders:
    made = StreamFolders.of(Settings(output=tmp_path))
    made.prepare()
    return made


def spark_wrote(checkpoint: Path, batch: int, *, committed: bool = True) -> None:
    """What Spark leaves of a micro-batch of one file."""
    for name in ("offsets", "commits", "sources/0", "sources/1", "state/0/0"):
        (checkpoint / name).mkdir(parents=True, exist_ok=True)
    (checkpoint / "metadata").write_text('{"id":"x"}')
    entry = {"path": f"file:///landing/{batch}.csv", "timestamp": 1, "batchId": batch}
    (checkpoint / "sources" / "0" / str(batch)).write_text(f"v1\n{json.dumps(entry)}\n")
    (checkpoint / "offsets" / str(batch)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{{"logOffset":{batch}}}\n-')
    (checkpoint / "offsets" / f".{batch}.crc").write_text("sum")
    (checkpoint / "state" / "0" / "0" / f"{batch + 1}.delta").write_text("state")
    if committed:
        (checkpoint / "commits" / str(batch)).write_text("v1\n{}")


def test_the_next_epoch_goes_on_where_the_one_before_was(folders: StreamFolders) -> None:
    """Its number is that of the lease, or higher, where the lease's files are gone."""
    first = begin(folders, 3)
    assert (first.number, first.first) == (3, 0)
    for batch in range(2):
        spark_wrote(first.checkpoint, batch)
    spark_wrote(first.checkpoint, 2, committed=False)
    (first.checkpoint / "offsets" / ".3.77.tmp").write_text("half")
    (first.pins / "000000001").write_text("a")
    second = begin(folders, 1)
    assert (second.number, second.first) == (4, 2)
    assert current(folders) == second
    assert marked(folders).starts == ((3, 0), (4, 2))
    names = {str(path.relative_to(second.folder)) for path in second.folder.rglob("*") if path.is_file()}
    assert "lists/offsets/2" in names  # planned: done again as it was planned
    assert "lists/offsets/.2.crc" in names
    assert "lists/metadata" in names
    assert "lists/state/0/0/2.delta" in names
    assert "bundles/000000001" in names
    assert not any(name.endswith(".tmp") for name in names)
    assert consumed_files(second.checkpoint) == {"file:///landing/0.csv", "file:///landing/1.csv"}
    assert [path.name for path in folders.checkpoints.iterdir()] == ["e000004"]  # the first's is gone


def test_what_is_written_late_stays_outside(folders: StreamFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first goes on while it is being replaced: also in files that both still have."""
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    monkeypatch.setattr(module.shutil, "rmtree", lambda *args, **kwargs: None)
    second = begin(folders, 2)
    spark_wrote(first.checkpoint, 1)
    target = first.checkpoint / "offsets" / "0"
    (target.parent / ".0.tmp").write_text("other")
    os.replace(target.parent / ".0.tmp", target)  # as Spark writes
    assert consumed_files(second.checkpoint) == {"file:///landing/0.csv"}
    assert "logOffset" in (second.checkpoint / "offsets" / "0").read_text()


def test_what_was_taken_in_is_told_while_spark_deletes_what_it_has_compacted(folders: StreamFolders) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    (first.checkpoint / "sources" / "0" / "7").symlink_to("deleted between being listed and being read")
    assert consumed_files(first.checkpoint) == {"file:///landing/0.csv"}


def test_lists_of_what_is_done_again_are_gone_as_the_next_epoch_begins(folders: StreamFolders) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    for batch in range(2):
        for folder, ending in ((folders.lists, "parquet"), (folders.csv, "csv")):
            (folder / f"batch-{batch:09d}-e000001-000.{ending}").touch()
    assert begin(folders, 2).first == 1
    names = sorted(path.name for folder in (folders.lists, folders.csv) for path in folder.iterdir())
    assert names == ["batch-000000000-e000001-000.csv", "batch-000000000-e000001-000.parquet"]


def test_a_start_that_was_cut_short_leaves_nothing_to_the_next(folders: StreamFolders) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    half = folders.checkpoints / "e000002" / "lists" / "commits"
    half.mkdir(parents=True)
    (half / "7").write_text("v1\n{}")
    third = begin(folders, 3)
    assert third.first == 1
    assert [path.name for path in folders.checkpoints.iterdir()] == ["e000003"]


def test_a_checkpoint_that_is_gone_is_not_begun_anew_over_the_archive(folders: StreamFolders) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    shutil.rmtree(folders.checkpoints)
    folders.prepare()
    with pytest.raises(InputError, match="is gone, and without it"):
        begin(folders, 2)
    spark_wrote(first.checkpoint, 1, committed=False)  # a stream that is just running
    with pytest.raises(InputError, match="is gone, and without it"):
        begin(folders, 2)
    assert marked(folders).starts == ((1, 0),)


def test_a_checkpoint_is_not_deleted_where_the_archive_is_gone(folders: StreamFolders) -> None:
    """Brought back, it is gone on with; or without what it held, as the line says."""
    first = begin(folders, 1)
    begin(folders, 2)  # nothing has come yet: its like may be begun anew
    shutil.rmtree(folders.archive)
    folders.prepare()
    first = begin(folders, 3)
    spark_wrote(first.checkpoint, 0)
    check_marks(folders)
    folders.archive.rename(folders.root / "elsewhere")
    with pytest.raises(InputError, match=f"archive {folders.archive}: is gone, .* bring it back"):
        check_marks(folders)
    folders.prepare()
    with pytest.raises(InputError, match=f"archive {folders.archive}: is gone, .* bring it back") as refused:
        begin(folders, 4)
    assert consumed_files(first.checkpoint) == {"file:///landing/0.csv"}
    (folders.archive / "_epochs").rmdir()
    folders.archive.rmdir()
    (folders.root / "elsewhere").rename(folders.archive)
    second = begin(folders, 4)
    assert (second.number, second.first) == (4, 1)
    shutil.rmtree(folders.archive)
    mark = folders.epochs / "e000004-from-000000000"
    told = f"make the folder {mark.parent} and an empty file {mark.name} in it."
    assert told in str(refused.value).replace("e000003", "e000004")
    mark.parent.mkdir(parents=True)
    mark.touch()
    folders.prepare()
    third = begin(folders, 5)
    assert (third.number, third.first) == (5, 1)
    assert consumed_files(third.checkpoint) == {"file:///landing/0.csv"}


def test_a_file_system_without_links(folders: StreamFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)

    def refused(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert consumed_files(begin(folders, 2).checkpoint) == {"file:///landing/0.csv"}


def paused(folders: StreamFolders, lease: int, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Begin an epoch; at a call of a function, the next one begins, works and goes on, before that returns."""
    real, lost = getattr(module, where), list[int]()

    def pausing(*args: object, **kwargs: object) -> object:
        if not lost:
            lost.append(1)
            following = begin(folders, lease + 1)
            spark_wrote(following.checkpoint, following.first)
            (folders.windows / f"2019-10-01.e{following.number:06d}.parquet").write_text("counts")
            (folders.archive / f".batch-000000001-e{following.number:06d}.ab12").mkdir()
        return real(*args, **kwargs)

    def check() -> None:
        if lost:
            raise VitrineError("another has taken over")

    with monkeypatch.context() as patched:
        patched.setattr(module, where, pausing)
        begin(folders, lease, check)


@pytest.mark.parametrize("where", ["current", "copy_checkpoint", "take_over_windows", "mark_name", "sync"])
def test_one_that_is_paused_while_it_begins_leaves_its_successor_alone(
    folders: StreamFolders, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    with pytest.raises(VitrineError, match="taken over"):
        paused(folders, 2, monkeypatch, where)
    epoch = current(folders)
    assert epoch is not None
    assert (epoch.number, epoch.first) == (3, 1)
    assert consumed_files(epoch.checkpoint) == {"file:///landing/0.csv", "file:///landing/1.csv"}
    assert (folders.windows / "2019-10-01.e000003.parquet").exists()
    assert (folders.archive / ".batch-000000001-e000003.ab12").exists()
    assert [marked(folders).owner(batch) for batch in (0, 1)] == [1, 3]


def test_one_that_is_paused_at_its_very_end_deletes_only_what_is_older(
    folders: StreamFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)
    (folders.archive / ".batch-000000001-e000001.ab12").mkdir()
    paused(folders, 2, monkeypatch, "drop_lower_windows")
    epoch = current(folders)
    assert epoch is not None
    assert epoch.number == 3
    assert consumed_files(epoch.checkpoint) == {"file:///landing/0.csv", "file:///landing/1.csv"}
    assert (folders.windows / "2019-10-01.e000003.parquet").exists()
    assert [path.name for path in folders.archive.glob(".b*")] == [".batch-000000001-e000003.ab12"]


def test_folders_are_made_without_touching_what_another_is_writing(folders: StreamFolders) -> None:
    (folders.archive / ".batch-000000001-e000003.ab12").mkdir()
    folders.prepare()
    assert (folders.archive / ".batch-000000001-e000003.ab12").exists()


@given(starts=st.lists(st.integers(0, 9), max_size=8).map(sorted), oldest=st.integers(0, 9))
@settings(deadline=None)
def test_marks_that_say_nothing_any_more_are_deleted(
    tmp_path_factory: pytest.TempPathFactory, starts: list[int], oldest: int
) -> None:
    """Whose word counts stays the same for all that is still there."""
    folders = StreamFolders.of(Settings(output=tmp_path_factory.mktemp("marks")))
    folders.prepare()
    for number, first in enumerate(starts, 1):
        (folders.epochs / mark_name(number, first)).touch()
    before = marked(folders)
    drop_marks(folders, oldest)
    after = marked(folders)
    assert [after.owner(batch) for batch in range(oldest, 20)] == [before.owner(batch) for batch in range(oldest, 20)]
    assert after.latest == before.latest
    assert len(after.starts) <= 1 + len({first for first in starts if first > oldest})
