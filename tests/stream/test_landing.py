"""Landed files are deleted once the log of the source says that they are done with, and no others."""

import json
import os
import time
from pathlib import Path

import pytest

from app.core.errors import VitrineError
from app.core.lease import Lease
from app.stream.folders import POSTED
from app.stream.landing import LandedFiles
from app.stream.source_log import BLOCK, NewlyConsumed, consumed_files


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    made = tmp_path / "land ing"
    made.mkdir()
    return made


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    made = tmp_path / "checkpoint"
    for name in ("offsets", "commits", "sources/0", "sources/1"):
        (made / name).mkdir(parents=True)
    return made


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    made = Lease(tmp_path / "lease", "the shop")
    made.acquire(wait=False, say=print)
    return made


def entries(*names: Path, number: int) -> str:
    """As Spark notes them, with the milliseconds since 1970 at which they were modified."""
    modified = {name: name.stat().st_mtime_ns // 1_000_000 if name.exists() else 1 for name in names}
    lines = [{"path": name.as_uri(), "timestamp": modified[name], "batchId": number} for name in names]
    return "\n".join(map(json.dumps, lines))


def took_in(checkpoint: Path, batch: int, *names: Path, committed: bool = True) -> None:
    """As Spark does: the second source has had nothing yet."""
    (checkpoint / "sources" / "0" / str(batch)).write_text("v1\n" + entries(*names, number=batch))
    (checkpoint / "offsets" / str(batch)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{{"logOffset":{batch}}}\n-')
    if committed:
        (checkpoint / "commits" / str(batch)).write_text("v1\n{}")


def there(landing: Path) -> set[str]:
    return {path.name for path in landing.iterdir()}


def test_what_was_not_read_stays(landing: Path, checkpoint: Path, lease: Lease) -> None:
    """Whatever its time says, and however new what was read is: a backlog of one kind lies beside the other."""
    for name in ("read.csv", "under way.csv", "backlog.csv", ".hidden.csv"):
        (landing / name).write_text("x")
    os.utime(landing / "read.csv", (time.time() + 86_400,) * 2)  # by a clock that runs ahead
    os.utime(landing / "backlog.csv", (1, 1))
    took_in(checkpoint, 0, landing / "read.csv")
    took_in(checkpoint, 1, landing / "under way.csv", committed=False)
    landed = LandedFiles(landing, checkpoint, lease, pytest.fail)
    landed.clean()
    assert "read.csv" in there(landing)  # it was not yet committed when this was last asked
    for _ in range(2):
        landed.clean()
    assert there(landing) == {"under way.csv", "backlog.csv", ".hidden.csv"}
    (checkpoint / "commits" / "1").write_text("v1\n{}")
    for _ in range(2):
        landed.clean()
    assert there(landing) == {"backlog.csv", ".hidden.csv"}


def test_one_that_was_replaced_deletes_nothing(landing: Path, checkpoint: Path, lease: Lease, tmp_path: Path) -> None:
    (landing / "read.csv").write_text("x")
    took_in(checkpoint, 0, landing / "read.csv")
    landed = LandedFiles(landing, checkpoint, lease, pytest.fail)
    landed.clean()
    (tmp_path / "lease" / "e000002").write_text("{}")
    with pytest.raises(VitrineError, match="has taken over"):
        landed.clean()
    assert there(landing) == {"read.csv"}


def deliver(path: Path, modified: float) -> None:
    path.write_text("x")
    os.utime(path, (modified, modified))


@pytest.mark.parametrize("modified", [1_000_000.002, 999_999], ids=["two milliseconds later", "copied with its time"])
def test_a_file_that_comes_again_is_told_and_kept(
    landing: Path, checkpoint: Path, lease: Lease, modified: float
) -> None:
    """Spark passes over it, by its name: whether its first file is still there, or was deleted; at each start."""
    told = list[str]()
    for name in ("there.csv", "deleted.csv", "once.csv"):
        deliver(landing / name, 1_000_000)
    took_in(checkpoint, 0, *landing.iterdir())
    landed = LandedFiles(landing, checkpoint, lease, told.append)
    (landing / "deleted.csv").unlink()
    landed.clean()
    deliver(landing / "there.csv", modified)
    for _ in range(3):
        landed.clean()
    assert there(landing) == {"there.csv"}
    line = "came again under a name that was read before: passed over, and not deleted; give it a new name to be read"
    assert told == [f"{landing}: there.csv {line}"]
    deliver(landing / "deleted.csv", modified)
    for _ in range(3):
        landed.clean()
    assert told[1:] == [f"{landing}: deleted.csv {line}"]
    again = LandedFiles(landing, checkpoint, lease, told.append)
    again.look()
    assert told[2:] == [f"{landing}: deleted.csv and 1 more {line}"]
    for _ in range(3):
        again.clean()
    assert there(landing) == {"there.csv", "deleted.csv"}
    deliver(landing / "there.csv", modified + 7)
    again.look()
    assert told[3:] == [f"{landing}: there.csv {line}"]


def test_what_the_api_delivers_once_more_is_the_same(landing: Path, checkpoint: Path, lease: Lease) -> None:
    """It does so on purpose, where it was killed and can't know."""
    posted = landing / f"{POSTED}1.parquet"
    deliver(posted, 1_000_000)
    took_in(checkpoint, 0, posted)
    deliver(posted, 1_000_001)
    landed = LandedFiles(landing, checkpoint, lease, pytest.fail)
    for _ in range(2):
        landed.clean()
    assert there(landing) == set()


def test_a_file_whose_name_was_forgotten_waits_to_be_read(landing: Path, checkpoint: Path, lease: Lease) -> None:
    path = landing / "read.csv"
    deliver(path, 1_000_000)
    took_in(checkpoint, 0, path)
    landed = LandedFiles(landing, checkpoint, lease, pytest.fail)
    for _ in range(2):
        landed.clean()
    assert not path.exists()
    (checkpoint / "sources" / "0" / "0").write_text("v1")
    deliver(path, 1_000_001)
    for _ in range(2):
        landed.clean()
    assert path.exists()
    took_in(checkpoint, 1, path)
    for _ in range(2):
        landed.clean()
    assert not path.exists()


def test_a_file_that_comes_again_while_others_are_deleted_stays(
    landing: Path, checkpoint: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = {"a.csv", "b.csv"}, list[str]()
    for name in names:
        deliver(landing / name, 1_000_000)
    took_in(checkpoint, 0, *landing.iterdir())
    landed, delete = LandedFiles(landing, checkpoint, lease, told.append), Path.unlink
    landed.clean()

    def deleted(path: Path, *, missing_ok: bool) -> None:
        delete(path, missing_ok=missing_ok)
        for other in there(landing):
            deliver(landing / other, 1_000_001)

    monkeypatch.setattr(Path, "unlink", deleted)
    for _ in range(3):
        landed.clean()
    assert len(there(landing)) == len(told) == 1


def test_each_file_is_told_of_once(checkpoint: Path, tmp_path: Path) -> None:
    """Also where Spark has put the log together, and deleted what it was put together from."""
    consumed = NewlyConsumed(checkpoint)
    assert consumed.next() == {}
    took_in(checkpoint, 0, *[tmp_path / f"{number}.csv" for number in range(1_000)])
    assert len(consumed.next()) == 1_000
    assert consumed.next() == {}
    for number in range(1, 4):
        took_in(checkpoint, number, tmp_path / f"new-{number}.csv")
    log = checkpoint / "sources" / "0"
    lines = [(log / str(number)).read_text().removeprefix("v1\n") for number in range(4)]
    (log / "3.compact").write_text("\n".join(["v1", *lines]))
    assert (log / "3.compact").stat().st_size > BLOCK
    for number in range(4):
        (log / str(number)).unlink()
    assert consumed.next() == {f"new-{number}.csv": 1 for number in (1, 2, 3)}
    assert len(consumed_files(checkpoint)) == 1_003
    assert len(consumed_files(checkpoint, 0)) == 1_000
