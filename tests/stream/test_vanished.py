"""A file that is gone before it was read is told of, and no other."""

from pathlib import Path

from app.stream.folders import StreamFolders
from app.stream.source_log import COMPACT, listed_files
from app.stream.vanished import vanished
from tests.stream.test_landing import checkpoint, entries, landing, took_in

__all__ = ["checkpoint", "landing"]  # fixtures


def test_files_that_a_micro_batch_was_planned_to_read(checkpoint: Path, landing: Path) -> None:
    """Of both sources; also where Spark has put the log together, and where a source has had nothing new."""
    names = [landing / f"{number}.csv" for number in range(5)]
    took_in(checkpoint, 0, names[0])
    took_in(checkpoint, 1, names[1], names[2], committed=False)
    assert listed_files(checkpoint, 0) == {names[0].as_uri()}
    assert listed_files(checkpoint, 1) == {names[1].as_uri(), names[2].as_uri()}
    log = checkpoint / "sources" / "0"
    earlier = [(log / str(number)).read_text().removeprefix("v1\n") for number in range(2)]
    (log / f"2{COMPACT}").write_text("\n".join(["v1", *earlier, entries(names[3], number=2)]))
    (checkpoint / "sources" / "1" / "0").write_text("v1\n" + entries(names[4], number=0))
    (checkpoint / "offsets" / "2").write_text('v1\n{}\n{"logOffset":2}\n{"logOffset":0}')
    (checkpoint / "offsets" / "3").write_text('v1\n{}\n{"logOffset":2}\n{"logOffset":0}')
    assert listed_files(checkpoint, 2) == {names[3].as_uri(), names[4].as_uri()}
    assert listed_files(checkpoint, 3) == set()


def test_what_nothing_was_read_of_and_is_not_there(tmp_path: Path, landing: Path) -> None:
    folders = StreamFolders(tmp_path / "stream", landing, tmp_path / "models")
    folders.prepare()
    there, read, gone, damaged = (landing / f"{name} 50%.csv" for name in ("empty", "read", "gone", "damaged"))
    there.touch()
    (folders.damaged / damaged.name).touch()
    listed = [path.as_uri() for path in (there, read, gone, damaged)]
    assert vanished(listed, [read.as_uri().replace("///", "/")], folders) == [gone]
