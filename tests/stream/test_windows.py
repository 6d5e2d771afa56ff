"""Counts of windows, from an archive at rest: distinct events, however often and late they come."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from app.core.settings import Settings
from app.events.archive import ARCHIVE_SCHEMA
from app.stream.windows import count_windows, window_counts

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


def micros(minute: float) -> int:
    return int((NOON + timedelta(minutes=minute)).timestamp() * 1_000_000)


def archived(spark: SparkSession, *rows: tuple[float, str, str, float | None, str]) -> DataFrame:
    """(minute after noon, event type, category, price, event id or session)"""
    values = [
        (NOON + timedelta(minutes=minute), kind, 1, 7, code, "acme", price, 5, key, 2.0, None, None, key, None)
        for minute, kind, code, price, key in rows
    ]
    return spark.createDataFrame(values, ARCHIVE_SCHEMA)


def counted(frame: DataFrame, *minutes: float, **settings: object) -> dict[tuple[int, str, str], tuple[int, float]]:
    rows = window_counts(frame, [micros(minute) for minute in minutes], Settings(**settings)).collect()
    start = NOON.replace(tzinfo=None)
    return {
        ((row.start - start) // timedelta(minutes=1), row.event_type, row.main_category): (row.events, row.revenue)
        for row in rows
    }


def test_distinct_events_and_revenue_of_each_window(spark: SparkSession) -> None:
    events = archived(
        spark,
        (0, "view", "a.x", 3.0, "s"),
        (4.9, "purchase", "a.x", 3.0, "s"),
        (4.9, "purchase", "a.x", 3.0, "s"),  # sent twice
        (4.9, "purchase", "a.y", 2.5, "t"),  # of another session
        (5, "purchase", "b", -1.0, "s"),  # a price that is none
        (12, "view", "c", 1.0, "s"),  # in a window that is not asked for
        (20, "view", "c", None, "s"),
    )
    assert counted(events, 0, 5, 20) == {
        (0, "view", "a"): (1, 0),
        (0, "purchase", "a"): (2, 11.0),  # two pieces each
        (5, "purchase", "b"): (1, 0),
        (20, "view", "c"): (1, 0),
    }


def test_copies_that_differ_count_as_the_greatest_whatever_their_order(spark: SparkSession) -> None:
    copies = [(0.0, "purchase", "a", price, "s") for price in (1.0, 4.0, 2.0)]
    for rows in (copies, copies[::-1]):
        assert counted(archived(spark, *rows), 0) == {(0, "purchase", "a"): (1, 8.0)}


def test_events_that_have_an_id_are_the_same_by_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = tmp_path_factory.mktemp("layout") / "shop.yaml"
    layout.write_text(
        "columns: {event_time: t, event_type: e, product_id: p, user_id: u, event_id: id}\n"
        "time: {format: epoch_seconds}\n"
    )
    events = archived(spark, (0, "view", "a", 1.0, "1"), (1, "view", "a", 1.0, "1"), (1, "view", "a", 1.0, "2"))
    assert counted(events, 0, layout=layout) == {(0, "view", "a"): (2, 0)}


def test_a_damaged_file_of_the_archive_is_passed_over(spark: SparkSession, tmp_path: Path) -> None:
    """The accounts tell of it; the stream goes on, and counts what is left."""
    archived(spark, (0, "view", "a", 1.0, "s")).coalesce(1).write.parquet(str(tmp_path / "batch"))
    (whole,) = (tmp_path / "batch").glob("*.parquet")
    cut, spoilt = tmp_path / "cut.parquet", tmp_path / "spoilt.parquet"
    content = whole.read_bytes()
    cut.write_bytes(content[:50])
    spoilt.write_bytes(content[:4] + b"\xff" * 60 + content[64:])  # its footer is good
    counts = count_windows(spark, [whole, cut, spoilt], [micros(0)], Settings())
    assert counts["events"].to_pylist() == [1]


def test_a_file_that_is_away_for_a_moment_does_not_count_as_empty(
    spark: SparkSession, tmp_path: Path, refused: Path
) -> None:
    """Its windows would be closed without its rows. Nor does one that is gone."""
    archived(spark, (0, "view", "a", 1.0, "s")).coalesce(1).write.parquet(str(tmp_path / "batch"))
    (whole,) = (tmp_path / "batch").glob("*.parquet")
    away = tmp_path / "away.parquet"
    away.symlink_to(refused)
    with pytest.raises(OSError, match="Invalid argument"):
        count_windows(spark, [whole, away], [micros(0)], Settings())
    away.unlink()
    with pytest.raises(FileNotFoundError):
        count_windows(spark, [whole, away], [micros(0)], Settings())
