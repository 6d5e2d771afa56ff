"""Exploration on a log of a dozen rows: counts speak of rows as read, doubles included."""

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from app.core.duck import Connection
from app.insight.exploration import explored
from app.insight.explore import explore_sessions, session_counts
from app.insight.results import Exploration, LeaderRow, SessionFigures, SessionLengthRow
from tests.handmade import Event, stored_events

PHONE = {"category_code": "electronics.phone", "brand": "acme", "price": 100.0, "category_id": 1}
EVENTS: list[Event] = [
    (1, 10, "view", "10-01 23:30", PHONE | {"user_session": "a", "copies": 3}),
    (1, 10, "cart", "10-01 23:40", PHONE | {"user_session": "a"}),
    (1, 10, "purchase", "10-02 00:10", PHONE | {"user_session": "a", "copies": 2}),
    (2, 10, "view", "10-02 09:00", PHONE | {"user_session": "b"}),
    (2, 11, "purchase", "10-02 09:01", {"user_session": "b", "price": 7.5, "category_id": 2}),  # without a cart
    (3, 11, "cart", "10-09 09:00", {"user_session": "c", "price": None, "listed_price": 0.0, "category_id": 2}),
    (1, 12, "view", "10-09 09:00", {"price": None, "listed_price": -2.0}),
    (4, 12, "view", "10-15 09:00", {"copies": 2, "category_code": "furniture"}),
]


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    folder = tmp_path_factory.mktemp("log")
    return explored(spark, stored_events(folder / "events", EVENTS), "Europe/Moscow", folder / "explored")


def test_event_mix_counts_rows_as_read(found: Exploration) -> None:
    assert {row.event_type: row.events for row in found.events.event_mix} == {
        "view": 3 + 1 + 1 + 2,
        "cart": 2,
        "remove_from_cart": 0,
        "purchase": 2 + 1,
    }
    assert [row.share for row in found.events.event_mix] == pytest.approx([7 / 12, 2 / 12, 0, 3 / 12])


def test_missing_values_count_rows_as_read(found: Exploration) -> None:
    missing = {row.column: row.missing for row in found.events.missing}
    assert missing == {"category_code": 3, "brand": 5, "user_session": 3, "category_id": 3, "price": 2}
    assert found.events.prices_not_positive == 2


def test_totals(found: Exploration) -> None:
    events = found.events
    assert (events.users, events.products) == (4, 3)
    assert (events.first, events.last) == (datetime(2019, 10, 1, 23, 30), datetime(2019, 10, 15, 9))


def test_days_are_utc_and_hours_are_the_shops(found: Exploration) -> None:
    assert [(row.day, row.events, row.by_type["purchase"]) for row in found.events.by_day] == [
        (date(2019, 10, 1), 4, 0),
        (date(2019, 10, 2), 4, 3),
        (date(2019, 10, 9), 2, 0),
        (date(2019, 10, 15), 2, 0),
    ]
    # Moscow is three hours ahead: 23:30 UTC is half past two at night there
    hours = {row.hour: row.events for row in found.events.by_hour}
    assert hours == {2: 4, 3: 2, 12: 6}


def test_prices_by_event_type(found: Exploration) -> None:
    prices = {row.event_type: row for row in found.events.price_by_event_type}
    assert prices["purchase"].mean == pytest.approx((2 * 100 + 7.5) / 3)
    assert (prices["view"].min, prices["view"].max, prices["view"].events) == (-2.0, 100.0, 5)
    assert prices["cart"].mean == pytest.approx(50)


def test_top_categories_and_brands(found: Exploration) -> None:
    """A category's id stands in where its name is missing."""
    electronics, second, furniture, unknown = found.events.top_categories
    assert electronics == LeaderRow(name="electronics", events=7, purchases=2, revenue=100.0)
    assert (second.name, second.events, second.revenue) == ("category 2", 2, 7.5)
    assert (furniture.name, unknown.name, unknown.events) == ("furniture", "unknown", 1)
    assert found.events.top_brands[0] == LeaderRow(name="acme", events=7, purchases=2, revenue=100.0)


def test_sessions(found: Exploration) -> None:
    # a: 6 rows in 40 minutes; b: 2 in 1; c: 1; two without an id: 1 and 2 rows
    sessions = found.sessions
    assert (sessions.count, sessions.min_events, sessions.max_events) == (5, 1, 6)
    assert sessions.buying == 2, "a and b"
    assert sessions.mean_events == pytest.approx(12 / 5)
    assert (sessions.p25_events, sessions.median_events, sessions.p75_events) == (1, 2, 2)
    assert sessions.mean_minutes == pytest.approx(41 / 5)
    assert sessions.lengths == (
        SessionLengthRow(events=1, sessions=2),
        SessionLengthRow(events=2, sessions=2),
        SessionLengthRow(events=6, sessions=1),
    )


def figures_of(duck: Connection, sessions: list[tuple[int, str, int, int, int]]) -> SessionFigures:
    """Of sessions: user, id, rows, minutes, purchases."""
    start = datetime(2019, 10, 1)
    rows = pa.table(
        {
            "session_id": pa.array([one[1] for one in sessions], pa.string()),
            "start": pa.array([start] * len(sessions), pa.timestamp("us")),
            "end": pa.array([start + timedelta(minutes=one[3]) for one in sessions], pa.timestamp("us")),
            "rows": pa.array([one[2] for one in sessions], pa.int64()),
            "purchases": pa.array([one[4] for one in sessions], pa.int64()),
        }
    )
    return explore_sessions(session_counts(duck.from_arrow(rows)))


def test_long_sessions_share_a_bar_with_those_near_them(duck: Connection) -> None:
    lengths = [1, 20, 21, 30, 31, 100, 101, 500]
    found = figures_of(duck, [(place, str(place), events, 0, 0) for place, events in enumerate(lengths)])
    assert [(row.events, row.to, row.sessions) for row in found.lengths] == [
        (1, None, 1),
        (20, None, 1),
        (21, 30, 2),
        (31, 50, 1),
        (51, 100, 1),
        (101, None, 2),
    ]


def test_an_id_of_two_users_is_one_session(duck: Connection) -> None:
    found = figures_of(duck, [(1, "a", 2, 5, 0), (2, "a", 3, 8, 1), (2, "b", 1, 0, 0)])
    assert (found.count, found.buying, found.max_events, found.mean_minutes) == (2, 1, 5, 4)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 90), st.integers(0, 2)), min_size=1))
@settings(deadline=None, max_examples=30)
def test_figures_are_those_of_the_sessions_one_by_one(duck: Connection, sessions: list[tuple[int, int, int]]) -> None:
    """Values of numpy; its inverted_cdf is the quantile that is some session's own."""
    found = figures_of(duck, [(at, f"{at}", *one) for at, one in enumerate(sessions)])
    events, minutes, purchases = (np.array(column) for column in zip(*sessions, strict=True))
    assert (found.count, found.buying) == (len(sessions), (purchases > 0).sum())
    assert (found.mean_events, found.mean_minutes) == pytest.approx((events.mean(), minutes.mean()))
    assert found.std_events == (pytest.approx(events.std(ddof=1), abs=1e-6) if len(sessions) > 1 else None)
    quartiles = np.quantile(events, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert [found.p25_events, found.median_events, found.p75_events] == quartiles.tolist()
    assert found.median_minutes == np.quantile(minutes, 0.5, method="inverted_cdf")


def test_sessions_of_nothing(duck: Connection) -> None:
    figures = figures_of(duck, [])
    assert (figures.count, figures.buying, figures.lengths) == (0, 0, ())
    assert (figures.mean_events, figures.std_events, figures.median_events, figures.mean_minutes) == (None,) * 4
