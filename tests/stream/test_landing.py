"""Landed files are deleted once the log of the source says that they are done with, and no others."""

import json
import os
import time
from pathlib import Path

import pytest

from app.core.errors import VitrineError
from app.core.lease import Lease
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
    lines = [json.dumps({"path": name.as_uri(), "timestamp": 1, "batchId": number}) for name in names]
    return "\n".join(lines)


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
    landed = LandedFiles(landing, checkpoint, lease)
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
    landed = LandedFiles(landing, checkpoint, lease)
    landed.clean()
    (tmp_path / "lease" / "e000002").write_text("{}")
    with pytest.raises(VitrineError, match="has taken over"):
        landed.clean()
    assert there(landing) == {"read.csv"}


def test_each_file_is_told_of_once(checkpoint: Path, tmp_path: Path) -> None:
    """Also where Spark has put the log together, and deleted what it was put together from."""
    consumed = NewlyConsumed(checkpoint)
    assert consumed.next() == set()
    took_in(checkpoint, 0, *[tmp_path / f"{number}.csv" for number in range(1_000)])
    assert len(consumed.next()) == 1_000
    assert consumed.next() == set()
    for number in range(1, 4):
        took_in(checkpoint, number, tmp_path / f"new-{number}.csv")
    log = checkpoint / "sources" / "0"
    lines = [(log / str(number)).read_text().removeprefix("v1\n") for number in range(4)]
    (log / "3.compact").write_text("\n".join(["v1", *lines]))
    assert (log / "3.compact").stat().st_size > BLOCK
    for number in range(4):
        (log / str(number)).unlink()
    assert consumed.next() == {(tmp_path / f"new-{number}.csv").as_uri() for number in (1, 2, 3)}
    assert len(consumed_files(checkpoint)) == 1_003
    assert len(consumed_files(checkpoint, 0)) == 1_000
