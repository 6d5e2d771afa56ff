"""Rows are archived as they pass, and a micro-batch done again leaves what one leaves."""

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.errors import VitrineError
from app.events.archive import ARCHIVE_SCHEMA
from app.events.archive_manifest import MANIFEST
from app.events.archive_names import BatchRange, Epochs
from app.stream.account_files import Account
from app.stream.archive import Archive, describe, read_points
from app.stream.intake import HANDED_ON, PartCounts, set_job_properties, take_in
from app.stream.lateness import HOUR, Lateness
from app.stream.score import Result
from tests.stream.shop import folder_rows

MIDNIGHT = datetime(2019, 10, 1, tzinfo=UTC)
NOON = int(datetime(2019, 10, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
PART = BatchRange(4, 4, 1)
PARSED = (
    "event_time timestamp, event_type string, product_id long, category_id long, category_code string, brand string, "
    "price double, listed_price double, user_id long, user_session string, reason string, _corrupt string, "
    "source_file string, text string, quantity double, user_key string, product_key string, event_id string, "
    "recommendation_id string, left_out string, arrived_at timestamp"
)


def parsed(spark: SparkSession, *rows: tuple[int, str | None, str | None]) -> DataFrame:
    """(user, reason why it is no event, rule that leaves it out); each of a file of its own."""
    none = [None] * 4
    values = [
        (
            *(MIDNIGHT.replace(hour=12, minute=user), "purchase" if user == 7 else "view", 1, 7, "a.x", "acme"),
            *(5.0 if user == 7 else None, -1.5, user, None, reason, None),
            *(f"file:/{user}", f"text {user}", 1.0, *none, left_out, MIDNIGHT),
        )
        for user, reason, left_out in rows
    ]
    return spark.createDataFrame(values, PARSED)


def taken(events: DataFrame, archive: Archive, known: frozenset[str] = frozenset()) -> tuple[list[int], PartCounts]:
    """Users that are handed on, and what was counted."""
    staging = archive.stage(PART)
    set_job_properties(events.sparkSession.sparkContext, staging, NOON)
    frame = take_in(events, 5, known)
    assert frame.schema == HANDED_ON
    rows = frame.collect()
    assert {row.seen_at for row in rows} <= {MIDNIGHT.replace(hour=12, tzinfo=None)}
    users = [row.user_id for row in rows]
    return sorted(users), archive.commit(staging, PART, 9.0, ["a b=1"])


def test_each_row_is_archived_or_rejected_or_left_out(spark: SparkSession, archive: Archive) -> None:
    rows = parsed(spark, (1, None, None), (2, "unknown event_type", None), (7, None, None), (4, None, "cancelled"))
    users, counts = taken(rows, archive)
    assert users == [1, 7]
    sums = {(NOON, "view", "a"): (1, 0), (NOON + 300_000_000, "purchase", "a"): (1, 500)}
    files = {f"file:/{user}" for user in (1, 2, 7, 4)}
    assert counts == PartCounts(4, 2, 1, 1, 0, sums, files=files)
    events = sorted(folder_rows(archive.folder), key=lambda row: row["user_id"])
    assert [row["user_id"] for row in events] == [1, 7]
    assert list(events[0]) == ARCHIVE_SCHEMA.fieldNames()
    assert events[0]["price"] == -1.5  # as listed: cleaning is the reader's
    assert events[0]["event_time"] == MIDNIGHT.replace(hour=12, minute=1)
    (rejected,) = folder_rows(archive.rejected)
    assert rejected == {"reason": "unknown event_type", "row": "text 2", "source_file": "file:/2"}
    assert [path.name for path in archive.folder.iterdir()] == ["batch-000000004-e000001"]
    folder = archive.folder / PART.name
    assert archive.manifest(PART) == describe(folder, 5, 9.0)
    assert archive.manifest(PART).rows == 2
    assert [*read_points(folder)] == ["a b=1"]
    read = spark.read.parquet(str(folder)).schema
    assert [field.dataType for field in read] == [field.dataType for field in ARCHIVE_SCHEMA]


def test_events_too_late_for_their_session_are_counted(spark: SparkSession, archive: Archive) -> None:
    """Of users 1, 2 and 61, who came as many minutes after noon; windows of an hour, the first of which is over."""
    staging = archive.stage(PART)
    over = Lateness(NOON + HOUR, HOUR)
    set_job_properties(spark.sparkContext, staging, NOON, over)
    events = parsed(spark, (1, None, None), (2, None, None), (3, "unknown event_type", None))
    later = events.limit(1).withColumn("event_time", F.col("event_time") + F.expr("INTERVAL 1 HOUR"))
    assert len(take_in(events.unionAll(later), 5).collect()) == 3
    counts = archive.commit(staging, PART, 9.0)
    assert (counts.archived, counts.late) == (3, 2)
    account = Account.of(4, counts, Result(asked=2, forgotten=1, answered=1, rows=10), 0)
    assert account == Account(4, 4, 3, 1, 0, 0, late=2, asked=1, lists=1, list_rows=10, vanished=0)
    assert list(account.differences(None)) == []


def test_a_micro_batch_done_again_replaces_the_first_try(spark: SparkSession, archive: Archive) -> None:
    """Also with other rows, as after a file that could not be read; and over what a killed try has left."""
    left = archive.folder / f".{PART.name}.0badcafe"
    left.mkdir()
    (left / "part-00000.parquet").write_bytes(b"half")
    taken(parsed(spark, (1, None, None), (2, "unknown event_type", None), (3, None, None)), archive)
    taken(parsed(spark, (3, None, None)), archive)
    assert [row["user_id"] for row in folder_rows(archive.folder)] == [3]
    assert folder_rows(archive.rejected) == []
    assert [path.name for path in archive.folder.iterdir()] == [PART.name]
    taken(parsed(spark), archive)
    assert [*archive.folder.iterdir(), *archive.rejected.iterdir()] == []  # nothing leaves no folder


def test_rows_that_were_archived_before_are_handed_on_alone(spark: SparkSession, archive: Archive) -> None:
    users, counts = taken(parsed(spark, (1, None, None), (2, None, None)), archive, frozenset({"file:///1"}))
    assert users == [1, 2]
    assert (counts.archived, counts.known) == (1, 1)
    assert [row["user_id"] for row in folder_rows(archive.folder)] == [2]


def test_a_folder_that_is_not_its_micro_batch_is_noticed(spark: SparkSession, archive: Archive) -> None:
    """A part vanishes between being written and being moved into its place."""
    staging = archive.stage(PART)
    set_job_properties(spark.sparkContext, staging, NOON)
    take_in(parsed(spark, (1, None, None), (2, None, None)), 5).collect()
    next(staging.glob("part-*.parquet")).unlink()
    with pytest.raises(VitrineError, match=r"rows were written, \d are there"):
        archive.commit(staging, PART, 9.0)
    assert archive.folders(Epochs(())) == []


def test_a_micro_batch_whose_files_are_all_lost_is_noticed_by_its_lists(archive: Archive) -> None:
    assert archive.commit(archive.stage(PART), PART, 9.0).rows == 0  # one that had no rows: no lists either
    with pytest.raises(VitrineError, match="lists were written, and no rows are there"):
        archive.commit(archive.stage(PART), PART, 9.0, answered=True)


def test_many_rows_make_large_row_groups(spark: SparkSession, archive: Archive) -> None:
    rows = parsed(spark, (1, None, None)).crossJoin(spark.range(0, 80_000, 1, 1)).drop("id").coalesce(1)
    _, counts = taken(rows, archive)
    assert counts.archived == 80_000
    (path,) = archive.files(PART)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert (archive.folder / PART.name / MANIFEST).exists()
