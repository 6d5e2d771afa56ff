"""The products of a session: order of last touch, cap, ratings."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.events.sessions import with_session_id
from app.features.session_products import session_products
from tests.handmade import Event, by_key, events_table, moment


@pytest.fixture(scope="module")
def sessions(spark: SparkSession) -> dict[Any, dict[str, Any]]:
    long, crawler = {"user_session": "long"}, {"user_session": "crawler"}
    events: list[Event] = [
        (1, 30, "view", "10-01 09:00", long),
        (1, 10, "view", "10-01 09:01", long),
        (1, 20, "remove_from_cart", "10-01 09:02", long),
        (1, 30, "cart", "10-01 09:03", long),  # touched again: moves to the end
        (1, 30, "purchase", "10-01 09:04", long),
        (1, 30, "purchase", "10-01 09:05", long),
        (1, 5, "view", "10-01 09:05", long),  # in the same second: the smaller id comes first
        *((2, 100 + number, "view", f"10-01 10:{number:02}", crawler) for number in range(40)),
    ]
    frame = session_products(with_session_id(events_table(spark, events), idle_minutes=30), max_products=4)
    return by_key(frame, "session_id")


def test_once_each_by_last_touch_oldest_first(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["long"]["product_ids"] == [10, 20, 5, 30]
    assert sessions["long"]["end"] == moment("10-01 09:05")


def test_ratings_are_summed_and_capped(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["long"]["ratings"] == [1, 0, 1, 10]  # of 30: 1 + 3 + 5 + 5


def test_a_crawlers_session_keeps_only_its_latest(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["crawler"]["product_ids"] == [136, 137, 138, 139]
