"""Sessions: the given id, else 30 minutes idle."""

from datetime import datetime
from typing import Any

import pytest

from app.core.duck import Connection
from app.features.sessions import session_table
from tests.handmade import by_key, events_relation, moment

GIVEN = {"user_session": "given"}


@pytest.fixture(scope="module")
def sessions(duck: Connection) -> dict[Any, dict[str, Any]]:
    events = events_relation(
        duck,
        [
            (1, 10, "view", "10-01 09:00"),
            (1, 11, "cart", "10-01 09:30"),  # exactly 30 minutes: still the same visit
            (1, 11, "purchase", "10-01 10:00:01", {"copies": 2}),  # a second more: a new one
            (1, 12, "view", "10-01 10:10"),
            (1, 10, "view", "10-01 09:10", GIVEN),
            (1, 10, "remove_from_cart", "10-03 09:10", GIVEN),  # two days later, by the shop's own word the same
            (2, 10, "view", "10-01 09:05"),  # of another user
            (2, 10, "view", "10-01 09:10", GIVEN),  # an id that two users share
        ],
    )
    return by_key(session_table(events), "user_id", "session_id")


def test_idle_time_ends_a_session_only_when_longer_than_the_limit(sessions: dict[Any, dict[str, Any]]) -> None:
    assert set(sessions) == {(1, " 1-1"), (1, " 1-2"), (1, "given"), (2, " 2-1"), (2, "given")}
    first, second = sessions[1, " 1-1"], sessions[1, " 1-2"]
    assert (first["start"], first["end"], first["events"]) == (moment("10-01 09:00"), moment("10-01 09:30"), 2)
    assert (second["start"], second["end"]) == (moment("10-01 10:00:01"), moment("10-01 10:10"))


def test_given_id_is_kept_whatever_the_gap(sessions: dict[Any, dict[str, Any]]) -> None:
    session = sessions[1, "given"]
    assert (session["start"], session["end"]) == (datetime(2019, 10, 1, 9, 10), datetime(2019, 10, 3, 9, 10))


def test_counts_by_type_and_rows_with_duplicates(sessions: dict[Any, dict[str, Any]]) -> None:
    counts = ("events", "rows", "views", "carts", "removals", "purchases")
    assert [sessions[1, " 1-1"][name] for name in counts] == [2, 2, 1, 1, 0, 0]
    assert [sessions[1, " 1-2"][name] for name in counts] == [2, 3, 1, 0, 0, 1]
    assert [sessions[1, "given"][name] for name in counts] == [2, 2, 1, 0, 1, 0]


def test_a_shared_id_is_a_session_of_each_user(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions[2, "given"]["events"] == 1
