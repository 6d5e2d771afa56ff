"""A stream of the first edition is gone on with: its checkpoint, three micro-batches old."""

import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.settings import Settings
from app.stream.epoch import current, newest_number
from app.stream.folders import StreamFolders
from app.stream.window_files import WINDOW_SCHEMA
from tests.stream.shop import csv_text, folder_rows, quick_settings, recommender, running, until, write_bundle

CHECKPOINT = Path(__file__).parent / "edition_1" / "checkpoint.tar.xz"
LANDING = "file:///tmp/golden/out/out/landing/"  #: where its files lay
LAST_LANDED = 1_795_636_132  #: arrival of the last of them, seconds since 1970
AFTER_ITS_WATERMARK = 14 * 24 * 3_600  #: seconds after the hand-made shop's start
USER = 7_800
AT = datetime(2019, 10, 9, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of an output folder with a bundle and the checkpoint."""
    write_bundle(tmp_path / "models", "a", recommender())
    with tarfile.open(CHECKPOINT) as packed:
        packed.extractall(tmp_path / "stream", filter="data")
    return quick_settings(tmp_path)


def move_landing(folders: StreamFolders) -> None:
    """Rewrite the checkpoint as if its files had lain in this landing folder."""
    for path in folders.checkpoints.glob("*/sources/*/[0-9]*"):
        path.write_text(path.read_text().replace(LANDING, f"{folders.landing.as_uri()}/"))
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def land(folders: StreamFolders, name: str, product: int, second: int, arrived: int) -> None:
    """An event, in a file that came at a moment, whatever this machine's clock says."""
    folders.landing.mkdir(exist_ok=True)
    hidden = folders.landing / f".{name}"
    hidden.write_text(csv_text([(second, "view", product, USER, "on")]))
    os.utime(hidden, (arrived, arrived))
    hidden.rename(folders.landing / name)


def land_two(folders: StreamFolders) -> None:
    """A minute younger than those that the checkpoint knows."""
    for number, product in enumerate((101, 103)):
        land(folders, f"on-{number}.csv", product, AFTER_ITS_WATERMARK + number, LAST_LANDED + 60)


def forget_last(checkpoint: Path) -> None:
    """A query as it was a micro-batch earlier."""
    for name in ("offsets", "commits"):
        (checkpoint / name / "2").unlink()
        (checkpoint / name / ".2.crc").unlink(missing_ok=True)


def archived_before(folders: StreamFolders, product: int) -> None:
    """A folder of the previous version, made of one that this one writes."""
    columns = {"event_type": ["view"], "product_id": [product], "category_code": ["a.x"], "user_id": [1]}
    table = pa.table({"event_time": pa.array([AT], pa.timestamp("us", tz="UTC")), **columns})
    folder = folders.archive / "batch-000000001"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-00000.parquet")


def windows_before(folders: StreamFolders) -> None:
    """A count of the previous version, of an event that the archive has not."""
    folders.windows.mkdir(parents=True)
    rows = {"start": [AT], "event_type": ["cart"], "main_category": ["a"], "events": [7], "revenue": [0.0]}
    pq.write_table(pa.table(rows, WINDOW_SCHEMA), folders.windows / f"{AT:%Y-%m-%d}.parquet")


def test_the_query_goes_on_where_it_was(spark: SparkSession, settings: Settings) -> None:
    folders = StreamFolders.of(settings)
    move_landing(folders)
    windows_before(folders)
    with running(spark, settings) as run:
        land_two(folders)
        run.delivered = 2
        run.drained()
        epoch = current(folders)
        assert epoch is not None
        assert epoch.first == 3
        until(lambda: run.error or newest_number(epoch.checkpoint / "commits") == 3, "micro-batch 3 is committed")
        assert run.error is None
    assert [(batch, products[0]) for batch, products in run.lists(USER)] == [(3, 104)]  # what goes with 103
    assert sorted(row["product_id"] for row in folder_rows(folders.archive)) == [101, 103]
    assert run.stream.telemetry.summary().state_rows > 1  # the sessions of before are still there
    assert [path.name for path in folders.checkpoints.iterdir()] == ["e000001"]
    assert "resuming from the previous version's checkpoint" in run.said
    counts = {path.name[:10]: pq.read_table(path)["events"].to_pylist() for path in folders.windows.glob("*.parquet")}
    assert counts == {f"{AT:%Y-%m-%d}": [7], "2019-10-15": [2]}


def test_what_was_listed_and_not_archived_is_archived(spark: SparkSession, settings: Settings) -> None:
    """The archive's query had stopped a micro-batch earlier than that of lists."""
    folders = StreamFolders.of(settings)
    move_landing(folders)
    forget_last(folders.checkpoints / "archive")
    archived_before(folders, 100)
    land(folders, "part-2.csv", 107, AFTER_ITS_WATERMARK, LAST_LANDED)
    for _ in range(2):  # also by a second start
        with running(spark, settings) as run:
            assert run.error is None
    assert [row["product_id"] for row in folder_rows(folders.archive)] == [100, 107]
    assert run.stream.telemetry.summary().events == 0  # it is in the sessions already
    assert sorted(path.name for path in folders.archive.glob("batch*")) == ["batch-000000001", "batch-000000002"]


def test_what_was_listed_and_not_archived_must_be_there(spark: SparkSession, settings: Settings) -> None:
    folders = StreamFolders.of(settings)
    move_landing(folders)
    forget_last(folders.checkpoints / "archive")
    said = r"part-2\.csv, not yet archived, is missing; run the previous version"
    with pytest.raises(InputError, match=said), running(spark, settings):
        pass
    assert {path.name for path in folders.checkpoints.iterdir()} >= {"lists", "archive"}  # nothing is lost


def test_what_was_archived_and_not_listed_is_not_archived_twice(spark: SparkSession, settings: Settings) -> None:
    folders = StreamFolders.of(settings)
    move_landing(folders)
    lists = folders.checkpoints / "lists"
    forget_last(lists)
    for path in lists.glob("sources/*/*2*"):
        path.unlink()
    for partition in (0, 1):
        (lists / "state" / "0" / str(partition) / "3.changelog").unlink(missing_ok=True)
    archived_before(folders, 107)
    land(folders, "part-2.csv", 107, AFTER_ITS_WATERMARK, LAST_LANDED)
    with running(spark, settings) as run:
        run.delivered = 1
        run.drained()
        land_two(folders)
        run.delivered = 3
        run.drained()
    assert sorted(row["product_id"] for row in folder_rows(folders.archive)) == [101, 103, 107]
    assert run.stream.telemetry.summary().unaccounted == 0
    assert len(run.lists(USER)) >= 2  # it came into the session


def test_a_landing_folder_that_was_moved_is_refused_in_one_line(spark: SparkSession, settings: Settings) -> None:
    with running(spark, settings) as run:
        until(lambda: run.error, "the stream has failed")
    assert type(run.error) is InputError
    assert "cannot go on from it (its landing folder was another" in str(run.error)
    assert "\n" not in str(run.error)
