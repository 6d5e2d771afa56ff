"""Files that can't be read are set aside, and the stream goes on without them."""

import errno
import gzip
import os
import shutil
import time
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.settings import Settings
from app.stream.damaged import delete_old, set_aside
from app.stream.folders import StreamFolders
from app.stream.housekeeping import Housekeeping
from app.stream.source_names import _lines, _newest
from tests.stream.shop import Running, csv_row, csv_text, folder_rows, land, until


@pytest.fixture
def folders(tmp_path: Path) -> StreamFolders:
    made = StreamFolders(tmp_path / "stream", tmp_path / "land ing", tmp_path / "models")
    made.prepare()
    return made


def reading(spark: SparkSession, path: Path) -> Py4JJavaError:
    """What Spark fails with that reads a file."""
    reader = spark.read.schema("a string")
    with pytest.raises(Py4JJavaError, match="FAILED_READ_FILE") as failed:
        (reader.parquet if path.suffix == ".parquet" else reader.csv)(str(path)).collect()
    return failed.value


@pytest.mark.parametrize("name", ["a.csv.gz", "a b.csv.gz", "50%;#é.parquet"])
def test_the_file_that_cannot_be_read_is_moved(spark: SparkSession, name: str, folders: StreamFolders) -> None:
    path = folders.landing / name
    path.write_text("neither gzip nor Parquet")
    error = reading(spark, path)
    moved = set_aside(error, folders)
    assert moved == folders.damaged / name
    assert moved.read_text() == "neither gzip nor Parquet"
    assert not path.exists()
    # The next query meets the same file: it was moved meanwhile.
    assert set_aside(error, folders) == moved


def test_the_file_is_found_behind_other_errors(spark: SparkSession, folders: StreamFolders) -> None:
    path = folders.landing / "a.csv.gz"
    path.write_text("bad")
    error = RuntimeError("query failed")
    error.__cause__ = reading(spark, path)
    assert set_aside(error, folders) == folders.damaged / "a.csv.gz"


def test_what_is_no_damaged_file_of_the_landing_folder_stays(spark: SparkSession, folders: StreamFolders) -> None:
    good, elsewhere = folders.landing / "a.csv", folders.archive / "part-0.parquet"
    good.write_text("good")
    elsewhere.write_text("bad")
    assert set_aside(reading(spark, elsewhere), folders) is None
    assert set_aside(OSError(28, f"No space left on device: {good.as_uri()}"), folders) is None
    assert good.exists()
    assert elsewhere.exists()


def test_a_file_that_is_gone_is_not_said_to_be_moved(spark: SparkSession, folders: StreamFolders) -> None:
    path = folders.landing / "a.csv.gz"
    path.write_text("bad")
    error = reading(spark, path)
    path.unlink()
    assert set_aside(error, folders) is None


def test_files_set_aside_are_kept_for_so_long_from_then_on(folders: StreamFolders) -> None:
    """Whatever their own time says; a folder that someone has made there is theirs."""
    begun = time.time() - 1
    for name in ("old.csv", "future.csv"):
        (folders.landing / name).touch()
        os.utime(folders.landing / name, (begun + (1e6 if name == "future.csv" else -1e6),) * 2)
        (folders.landing / name).rename(folders.damaged / name)
    (folders.damaged / "looked at").mkdir()
    delete_old(folders, begun)
    assert names(folders.damaged) == {"old.csv", "future.csv", "looked at"}
    delete_old(folders, time.time() + 1)
    assert names(folders.damaged) == {"looked at"}


def test_damaged_files_do_not_stop_the_stream(live: Running) -> None:
    """Unreadable: set aside whole. A half-written CSV: the broken row is rejected. An empty one is nothing."""
    landing, damaged = live.folders.landing, live.folders.damaged
    user = 9_000
    live.deliver("good.csv", [(0, "view", 100, user, "d")])
    packed = gzip.compress("".join(csv_text([(1, "view", 101 + n % 20, user, f"d{n}") for n in range(3_000)])).encode())
    land(landing, "cut.csv.gz", packed[: len(packed) // 2])
    land(landing, "text.csv.gz", csv_text([(1, "view", 101, user, "d")]))
    land(landing, "cut.parquet", b"PAR1 and then nothing of use, though long enough for a footer of some kind")
    land(landing, "empty.csv", b"")
    land(landing, "empty.parquet", b"")
    land(landing, "header.csv", csv_text([]))
    half = csv_row((2, "view", 102, user, "d"))
    live.delivered += 2
    land(landing, "half.csv", csv_text([(3, "view", 103, user, "d")]) + half[: len(half) // 2])
    until(lambda: live.error or {"cut.csv.gz", "cut.parquet", "text.csv.gz"} <= names(damaged), "set aside")
    live.drained()
    live.deliver("on.csv", [(4, "view", 104, user, "d")])
    assert live.lists(user)[-1][1][0] == 105
    assert names(damaged) == {"cut.csv.gz", "cut.parquet", "text.csv.gz"}
    archived = [row["product_id"] for row in folder_rows(live.folders.archive) if row["user_id"] == user]
    assert sorted(archived) == [100, 103, 104]
    (rejected,) = folder_rows(live.folders.rejected)
    assert rejected["row"] == half[: len(half) // 2]
    assert len([line for line in live.said if "cut.csv.gz cannot be read: moved to" in line]) >= 1


def test_a_name_is_taken_once(live: Running) -> None:
    """A mended file needs a name of its own: Spark remembers those it has read. That it is passed over is told."""
    user, counted = 9_100, live.metric("vitrine_stream_damaged_files_total") or 0
    land(live.folders.landing, "good.csv", csv_text([(5, "view", 110, user, "e")]))
    live.deliver("other.csv", [(6, "view", 111, user, "e")])  # younger: what is read of both comes before it
    assert [row["product_id"] for row in folder_rows(live.folders.archive) if row["user_id"] == user] == [111]
    live.stream._beside.clean_landing()
    (told,) = [line for line in live.said if "passed over" in line]
    assert told.startswith(f"{live.folders.landing}: good.csv came again under a name that was read before")
    assert live.metric("vitrine_stream_damaged_files_total") == counted + 1


def test_a_file_of_any_age_is_read(live: Running) -> None:
    """Neither one from the future nor an old one that was copied with its time keeps the others from being read."""
    user = 9_200
    for number, year in enumerate((2150, 2019, None)):
        hidden = live.folders.landing / ".aged"
        hidden.write_text(csv_text([(7 + number, "view", 112 + number, user, "f")]))
        if year is not None:
            moment = datetime(year, 10, 2, tzinfo=UTC).timestamp()
            os.utime(hidden, (moment, moment))
        hidden.rename(live.folders.landing / f"aged-{number}.csv")
        live.delivered += 1
        live.drained()
    archived = [row["product_id"] for row in folder_rows(live.folders.archive) if row["user_id"] == user]
    assert sorted(archived) == [112, 113, 114]


def test_the_stream_tells_of_a_file_that_is_gone_before_it_is_read(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while its micro-batch is planned; the other one of it is read."""
    landing, plan = live.folders.landing, live.stream._batches.archive.__class__.stage

    def stage(*given: object) -> Path:
        for path in landing.glob("gone*"):
            path.unlink()
        return plan(*given)

    monkeypatch.setattr("app.stream.archive.Archive.stage", stage)
    for name in ("gone soon.csv", "stays on.csv"):
        (landing / f".{name}").write_text(csv_text([(0, "view", 100, 9_300, name[0])]))
    live.delivered += 1
    (landing / ".gone soon.csv").rename(landing / "gone soon.csv")
    land(landing, "stays on.csv", csv_text([(0, "view", 100, 9_300, "s")]))
    live.drained()
    until(lambda: live.metric("vitrine_stream_vanished_files_total"), "the vanished file is counted")
    told = [line for line in live.said if "gone before it was read" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{landing / 'gone soon.csv'}: ")
    assert live.metric("vitrine_stream_vanished_files_total") == 1
    assert live.stream.telemetry.summary().vanished_files == 1
    assert any('"vanished": 1' in path.read_text() for path in live.folders.accounts.glob("*.jsonl"))
    assert live.error is None


def test_the_stream_goes_on_with_fewer_names(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of files that are gone, while it runs; those that are there are not read again."""
    monkeypatch.setattr("app.stream.source_names.KEPT", 0)
    user, before = 9_400, folder_rows(live.folders.archive)
    for number in range(2):
        live.deliver(f"names-{number}.csv", [(20 + number, "view", 100 + number, user, "n")])
        live.stream._beside.names_too_many.set()
        until(lambda: live.error or not live.stream._beside.names_too_many.is_set(), "names are forgotten")
    for number in range(2, 12):  # at one of ten the log is put together
        live.deliver(f"names-{number}.csv", [(20 + number, "view", 100 + number, user, "n")])
    log = _newest(live.stream._names.checkpoint / "sources" / "0")
    assert log is not None
    before_them = _lines(log)
    for path in live.folders.landing.glob("names-*.csv"):
        path.unlink()
    live.stream._beside.names_too_many.set()
    until(lambda: live.error or not live.stream._beside.names_too_many.is_set(), "names are forgotten")
    assert _lines(log) < before_them
    live.deliver("names-12.csv", [(32, "view", 112, user, "n")])
    archived = folder_rows(live.folders.archive)
    assert sorted(row["product_id"] for row in archived if row["user_id"] == user) == [*range(100, 113)]
    assert len(archived) == len(before) + 13
    assert live.stream._beside.accounts.audit() == []


def test_a_landing_folder_that_is_gone_is_noticed(folders: StreamFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark waits on for its files: what fails beside it ends the stream."""
    monkeypatch.setattr("app.stream.housekeeping.AUDIT_SECONDS", 0.1)
    house = idle_house(folders)
    house.start()
    until(lambda: house.accounts.audit.call_count > 1, "audits of folders that are there")
    assert house.failure is None
    shutil.rmtree(folders.landing)
    until(lambda: house.failure is not None, "the loss is noticed")
    assert type(house.failure) is InputError
    assert str(house.failure).startswith(f"{folders.landing}: is gone; bring it back and start the stream again")


def test_a_folder_that_is_away_for_a_moment_is_looked_at_again(
    folders: StreamFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that does not answer is no folder that is gone."""
    monkeypatch.setattr("app.stream.housekeeping.AUDIT_SECONDS", 0.1)
    house, said = idle_house(folders), list[str]()
    house.say = said.append
    away = OSError(errno.ESTALE, "Stale file handle", str(folders.landing))
    monkeypatch.setattr(StreamFolders, "check", Mock(side_effect=chain([away, away], repeat(None))))
    house.start()
    until(lambda: house.accounts.audit.call_count > 1, "audits once it is back")
    house.stop(time.monotonic() + 10)
    assert house.failure is None
    assert said == [f"{away}; looked at again"]


def idle_house(folders: StreamFolders) -> Any:
    """The housekeeping of a stream that nothing comes to, with audits alone."""
    settings = Settings(output=folders.root.parent)
    accounts = Mock()
    accounts.audit.return_value = []
    house: Any = Housekeeping(settings, folders, Mock(), accounts, Mock(), Mock(), Mock(), Mock(), Mock(), print, print)
    for job in ("mend_csv", "tidy", "clean_landing", "clean_lists"):
        setattr(house, job, Mock())
    return house


def test_a_stream_whose_folder_is_gone_ends_in_one_line(live: Running) -> None:
    """The last of this module: its stream runs no more. Nothing that comes after the loss is committed."""
    rows, archive = live.stream.telemetry.rows(), live.folders.archive
    archive.rename(archive.with_name("elsewhere"))
    land(live.folders.landing, "homeless.csv", csv_text([(40, "view", 100, 9_500, "h")]))
    error = until(lambda: live.error, "the stream has ended")
    assert type(error) is InputError
    assert str(error).startswith(f"{archive}: is gone; bring it back and start the stream again")
    assert live.stream.telemetry.rows() == rows
    assert not any("just been replaced" in line for line in live.said)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
