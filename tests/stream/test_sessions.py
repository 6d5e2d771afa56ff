"""Sessions in flight, on tables at rest."""

from datetime import datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from app.core.settings import Settings
from app.stream.sessions import EVENT_FIELDS, live_sessions, session_key

NOON = datetime(2019, 10, 1, 12)
ARRIVED = datetime(2024, 5, 6)
COLUMNS = (
    "event_time timestamp, product_id long, event_type string, arrived_at timestamp, seen_at timestamp, user_id long, "
    "user_session string"
)


def events(spark: SparkSession, *rows: tuple[float, int, int, str | None]) -> DataFrame:
    """(hour after noon, product, user, session)"""
    full = [(NOON + timedelta(hours=h), p, "view", ARRIVED, ARRIVED, u, s) for h, p, u, s in rows]
    return spark.createDataFrame(full, COLUMNS).withColumn("session", session_key())


def found(frame: DataFrame) -> dict[tuple[int, str, int], list[int]]:
    """Products, latest first, by user, session and number of events."""
    return {
        (row.user_id, row.session, len(row.events)): [event.product_id for event in row.events]
        for row in frame.collect()
    }


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(session_max_events=3, session_window_hours=6)


def test_the_latest_events_are_kept_latest_first(spark: SparkSession, settings: Settings) -> None:
    rows = [(hour / 10, 100 + hour, 1, "s") for hour in (3, 1, 4, 0, 2)]
    frame = live_sessions(events(spark, *rows), settings)
    assert found(frame) == {(1, "s", 3): [104, 103, 102]}
    assert frame.schema["events"].dataType.elementType.fieldNames() == list(EVENT_FIELDS)  # type: ignore[attr-defined]


def test_what_a_session_is(spark: SparkSession, settings: Settings) -> None:
    """By its id; without one by user; and each side of a window's edge on its own."""
    rows: list[tuple[float, int, int, str | None]] = [(0, 1, 1, "s"), (0.1, 2, 2, "s"), (0.2, 3, 1, None)]
    rows += [(0.3, 4, 1, None), (5.9, 5, 3, "t"), (6.1, 6, 3, "t"), (6.2, 7, 3, "t")]
    assert found(live_sessions(events(spark, *rows), settings)) == {
        (1, "s", 1): [1],
        (2, "s", 1): [2],
        (1, " 1", 2): [4, 3],
        (3, "t", 1): [5],
        (3, "t", 2): [7, 6],
    }


def test_which_sessions_have_an_id_and_which_window_they_lie_in(spark: SparkSession, settings: Settings) -> None:
    rows: list[tuple[float, int, int, str | None]] = [
        (0, 1, 1, "s"),
        (0, 2, 1, "1"),
        (0, 2, 1, "user-1"),
        (6.2, 3, 1, None),
    ]
    frame = live_sessions(events(spark, *rows), settings)
    assert {(row.session, row.given, row.window.start, row.window.end) for row in frame.collect()} == {
        *((session, True, NOON, NOON + timedelta(hours=6)) for session in ("s", "1", "user-1")),
        (" 1", False, NOON + timedelta(hours=6), NOON + timedelta(hours=12)),
    }
