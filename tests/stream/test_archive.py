"""The archive: a micro-batch written again leaves what one write leaves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from app.events.archive import ARCHIVE_SCHEMA
from app.stream.archive import archive_batch
from tests.stream.shop import folder_rows

MIDNIGHT = datetime(2019, 10, 1, tzinfo=UTC)
PARSED = (
    "event_time timestamp, event_type string, product_id long, category_id long, category_code string, brand string, "
    "price double, listed_price double, user_id long, user_session string, reason string, _corrupt string, "
    "source_file string, text string, quantity double, user_key string, product_key string, event_id string, "
    "recommendation_id string, left_out string"
)


def parsed(spark: SparkSession, *rows: tuple[int, str | None]) -> DataFrame:
    """(user, reason why it is no event)"""
    values = [
        (
            MIDNIGHT,
            "view",
            1,
            7,
            "a.x",
            "acme",
            None,
            -1.5,
            user,
            None,
            reason,
            None,
            "f",
            f"text {user}",
            1.0,
            *[None] * 5,
        )
        for user, reason in rows
    ]
    return spark.createDataFrame(values, PARSED)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    archive, rejected = tmp_path / "archive", tmp_path / "rejected"
    archive.mkdir()
    rejected.mkdir()
    return archive, rejected


def test_events_and_rejected_rows_are_archived_in_the_layout_of_the_log(
    spark: SparkSession, folders: tuple[Path, Path]
) -> None:
    archive, rejected = folders
    archive_batch(parsed(spark, (1, None), (2, "unknown event_type"), (3, None)), archive, rejected, 4)
    events = folder_rows(archive)
    assert [row["user_id"] for row in events] == [1, 3]
    assert list(events[0]) == ARCHIVE_SCHEMA.fieldNames()
    assert events[0]["price"] == -1.5  # as listed: cleaning is the reader's
    assert folder_rows(rejected) == [{"reason": "unknown event_type", "row": "text 2", "source_file": "f"}]
    assert [path.name for path in archive.iterdir()] == ["batch-000000004"]


def test_a_micro_batch_is_archived_once(spark: SparkSession, folders: tuple[Path, Path]) -> None:
    """Also over what a killed first try left: a hidden folder, or the events without the rejected rows."""
    archive, rejected = folders
    (archive / ".batch-000000004").mkdir()
    (archive / ".batch-000000004" / "part-0.parquet").write_bytes(b"half")
    rows = parsed(spark, (1, None), (2, "unknown event_type"))
    for _ in range(2):
        archive_batch(rows, archive, rejected, 4)
    assert (len(folder_rows(archive)), len(folder_rows(rejected))) == (1, 1)
    for path in sorted(rejected.glob("*/*"), reverse=True):
        path.unlink()
    (rejected / "batch-000000004").rmdir()
    archive_batch(rows, archive, rejected, 4)
    assert (len(folder_rows(archive)), len(folder_rows(rejected))) == (1, 1)


def test_nothing_leaves_no_folder(spark: SparkSession, folders: tuple[Path, Path]) -> None:
    archive, rejected = folders
    archive_batch(parsed(spark), archive, rejected, 0)
    assert [*archive.iterdir(), *rejected.iterdir()] == []
