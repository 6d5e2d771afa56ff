"""A stream of the first edition is gone on with: its checkpoint, three micro-batches old."""

import os
import tarfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.settings import Settings
from app.stream.folders import StreamFolders
from app.stream.progress import QUERIES
from tests.stream.shop import csv_text, folder_rows, quick_settings, recommender, running, until, write_bundle

CHECKPOINT = Path(__file__).parent / "edition_1" / "checkpoint.tar.xz"
LANDING = "file:///tmp/golden/out/out/landing/"  #: where its files lay
LAST_LANDED = 1_795_636_132  #: arrival of the last of them, seconds since 1970
AFTER_ITS_WATERMARK = 14 * 24 * 3_600  #: seconds after the hand-made shop's start
USER = 7_800


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of an output folder with a bundle and the checkpoint."""
    write_bundle(tmp_path / "models", "a", recommender())
    with tarfile.open(CHECKPOINT) as packed:
        packed.extractall(tmp_path / "stream", filter="data")
    return quick_settings(tmp_path)


def move_landing(folders: StreamFolders) -> None:
    """Rewrite the checkpoint as if its files had lain in this landing folder."""
    for path in (folders.root / "checkpoint").glob("*/sources/*/[0-9]*"):
        path.write_text(path.read_text().replace(LANDING, f"{folders.landing.as_uri()}/"))
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def land(folders: StreamFolders) -> None:
    """Two events, in a file that is younger than those that the checkpoint knows, whatever this machine's clock says.

    Spark passes over files that are much older than the newest one it knows.
    """
    second = AFTER_ITS_WATERMARK
    hidden = folders.landing / ".on.csv"
    hidden.write_text(csv_text([(second, "view", 101, USER, "on"), (second + 1, "view", 103, USER, "on")]))
    os.utime(hidden, (LAST_LANDED + 60, LAST_LANDED + 60))
    hidden.rename(folders.landing / "on.csv")


def committed(folders: StreamFolders) -> list[int]:
    """The last micro-batch of each query."""
    return [
        max(int(path.name) for path in (folders.checkpoint(query) / "commits").iterdir() if path.name.isdigit())
        for query in QUERIES
    ]


def test_all_queries_go_on_where_they_were(spark: SparkSession, settings: Settings) -> None:
    folders = StreamFolders.of(settings)
    move_landing(folders)
    assert committed(folders) == [2, 2, 2]
    with running(spark, settings) as run:
        land(folders)
        run.delivered = 2
        run.drained()
        until(lambda: run.error or committed(folders) == [3, 3, 3], "all have committed micro-batch 3")
        assert run.error is None
    assert [(batch, products[0]) for batch, products in run.lists(USER)] == [(3, 104)]  # what goes with 103
    assert [row["product_id"] for row in folder_rows(folders.archive)] == [101, 103]
    assert [path.name for path in folders.archive.iterdir()] == ["batch-000000003"]
    assert run.stream.telemetry.summary().state_rows > 1  # the sessions of before are still there


def test_a_landing_folder_that_was_moved_is_refused_in_one_line(spark: SparkSession, settings: Settings) -> None:
    with running(spark, settings) as run:
        until(lambda: run.error, "the stream has failed")
    assert type(run.error) is InputError
    assert "cannot go on from it (its landing folder was another" in str(run.error)
    assert "\n" not in str(run.error)
