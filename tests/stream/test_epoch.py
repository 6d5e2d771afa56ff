"""An epoch begins with a copy of the checkpoint before it, into which nothing written late can come."""

import json
import os
import shutil
from pathlib import Path

import pytest

from app.core.errors import InputError
from app.core.settings import Settings
from app.stream import epoch as module
from app.stream.epoch import begin, consumed_files, current, marked
from app.stream.folders import StreamFolders


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
    assert marked(folders).starts == ((1, 0),)


def test_a_file_system_without_links(folders: StreamFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(folders, 1)
    spark_wrote(first.checkpoint, 0)

    def refused(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(module.os, "link", refused)
    assert consumed_files(begin(folders, 2).checkpoint) == {"file:///landing/0.csv"}
