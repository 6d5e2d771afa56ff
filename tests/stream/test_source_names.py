"""Names of files that are gone are forgotten, and no file is read twice or passed over for it."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import unquote

import pytest
from pyspark.sql import DataFrame, SparkSession

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.stream import source_names
from app.stream.engine import Stream
from app.stream.folders import POSTED
from app.stream.housekeeping import Housekeeping
from app.stream.source_log import COMPACT, NewlyConsumed
from app.stream.source_names import SourceNames
from tests.stream.test_landing import checkpoint, entries, landing

__all__ = ["checkpoint", "landing"]  # fixtures


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names stay known, and the log is shortened at more than four."""
    for name, number in (("KEPT", 2), ("MOST", 4), ("POSTED_KEPT", 1)):
        monkeypatch.setattr(source_names, name, number)


def put_together(checkpoint: Path, *names: Path, committed: int) -> Path:
    """A log of a file each micro-batch, all compacted; those after `committed` are planned."""
    log = checkpoint / "sources" / "0" / f"{len(names) - 1}{COMPACT}"
    log.write_text("\n".join(["v1", *(entries(name, number=number) for number, name in enumerate(names))]))
    log.with_name(f".{log.name}.crc").touch()
    for batch in range(committed + 1):
        (checkpoint / "offsets" / str(batch)).write_text(f'v1\n{{}}\n{{"logOffset":{batch}}}\n-')
        (checkpoint / "commits" / str(batch)).write_text("v1\n{}")
    return log


def known(log: Path) -> list[str]:
    return [Path(json.loads(line)["path"]).name for line in log.read_text().splitlines()[1:]]


def test_what_is_gone_and_committed_is_forgotten(checkpoint: Path, landing: Path) -> None:
    """Files that are there stay known, and the latest two, the latest posted one, and what is not committed yet."""
    names = ("a.csv", "b.csv", f"{POSTED}1.csv", f"{POSTED}2.csv", "c.csv", "d.csv", "planned.csv", "e.csv", "f.csv")
    log = put_together(checkpoint, *[landing / name for name in names], committed=5)
    (landing / "b.csv").touch()
    (landing / "c.csv").touch()
    other = log.parent / "linked by an earlier epoch"
    other.hardlink_to(log)
    forgetful = SourceNames(checkpoint, landing)
    assert forgetful.too_many()
    assert forgetful.forget() == 3
    assert known(log) == ["b.csv", f"{POSTED}2.csv", "c.csv", "planned.csv", "e.csv", "f.csv"]
    assert len(known(other)) == 9
    assert {path.name for path in log.parent.iterdir()} == {log.name, other.name}  # what summed up the old content went
    assert not forgetful.too_many()
    assert forgetful.forget() == 0


def test_a_log_that_says_little_stays_as_it_is(checkpoint: Path, landing: Path) -> None:
    forgetful = SourceNames(checkpoint, landing)
    assert (forgetful.too_many(), forgetful.forget()) == (False, 0)
    log = put_together(checkpoint, *[landing / f"{number}.csv" for number in range(5)], committed=4)
    before = log.read_bytes()
    for number in range(5):
        (landing / f"{number}.csv").touch()
    assert (forgetful.too_many(), forgetful.forget()) == (False, 0)
    assert log.read_bytes() == before


@pytest.fixture
def often(spark: SparkSession) -> Iterator[SparkSession]:
    """A session whose sources put their log together at every third micro-batch."""
    interval = "spark.sql.streaming.fileSource.log.compactInterval"
    spark.conf.set(interval, "3")
    yield spark
    spark.conf.unset(interval)


def test_a_query_goes_on_from_a_log_that_was_shortened(often: SparkSession, tmp_path: Path, landing: Path) -> None:
    """Each of twelve files once: read before and after, deleted or still there, planned and not done as it stopped."""
    read, checkpoint = list[str](), tmp_path / "query"

    def run(take: Callable[[DataFrame, int], None]) -> None:
        lines = often.readStream.options(maxFilesPerTrigger=1, maxFileAge="365000d", ignoreMissingFiles=True)
        written = lines.text(str(landing)).writeStream.foreachBatch(take)
        written.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start().awaitTermination()

    def take(frame: DataFrame, batch: int) -> None:
        if batch == 6:
            raise RuntimeError("killed")
        read.extend(row.value for row in frame.collect())

    def file(number: int) -> Path:
        return landing / f"{number:02d} é.txt"

    def deliver(first: int, last: int) -> None:
        for number in range(first, last):
            file(number).write_text(str(number))
            os.utime(file(number), (1_000 + number,) * 2)  # in this order

    deliver(0, 8)
    with pytest.raises(Exception, match="killed"):
        run(take)
    for number in (1, 2, 3, 4):
        file(number).unlink()
    told = NewlyConsumed(checkpoint)
    assert len(told.next()) == 6
    assert SourceNames(checkpoint, landing).forget() == 3  # 4 is one of the latest
    deliver(8, 12)
    run(lambda frame, batch: read.extend(row.value for row in frame.collect()))
    assert sorted(read, key=int) == [str(number) for number in range(12)]
    assert len(told.next()) == 12 - 6
    log = checkpoint / "sources" / "0" / f"11{COMPACT}"
    assert [unquote(name) for name in known(log)] == [file(number).name for number in (0, *range(4, 12))]


def test_the_query_stands_still_between_two_micro_batches_while_names_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is handled is waited for, without standing still; one that would begin meanwhile is done again."""
    monkeypatch.setattr("app.stream.engine.COMMIT_WAIT", 0.0)
    stream, done = Mock(_busy=threading.Lock(), _pausing=threading.Event()), list[str]()
    stream.stopping.is_set.return_value = False

    def forget() -> None:
        with pytest.raises(VitrineError, match="done again"):
            Stream._handle(stream, Mock(), 7)
        done.append("forgotten")

    stream._running.stop = lambda: done.append("stopped")
    stream._names.forget = forget
    stream._start = lambda: done.append("started")
    with stream._busy:
        Stream._forget_names(stream)
    assert done == []
    Stream._forget_names(stream)
    assert done == ["stopped", "forgotten", "started"]
    stream._beside.names_too_many.clear.assert_called_once()
    stream._batches.handle.assert_not_called()
    Stream._handle(stream, Mock(), 7)
    stream._batches.handle.assert_called_once()


@pytest.mark.parametrize("clean", [True, False])
def test_names_are_forgotten_where_the_stream_deletes_the_files(
    checkpoint: Path, landing: Path, *, clean: bool
) -> None:
    """Files that others delete may come back, as those of a folder that is not mounted for a moment do."""
    put_together(checkpoint, *[landing / f"{number}.csv" for number in range(6)], committed=5)
    folders, epoch = Mock(landing=landing), Mock(checkpoint=checkpoint)
    settings, other = Settings(output=landing, clean_landing=clean), Mock()
    house = Housekeeping(settings, folders, other, other, other, other, other, epoch, other, print, print)
    house.clean_landing()
    assert house.names_too_many.is_set() == clean
