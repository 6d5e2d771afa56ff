"""The products of a session: order of last touch, cap, kinds; the same in SQL and in arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.duck import Connection
from app.events.vocabulary import KINDS, TOUCHES
from app.features.sessions import session_touches
from app.serve.ragged import Ragged
from app.serve.sessions import SessionEvents
from tests.handmade import Event, by_key, events_relation, moment


@pytest.fixture(scope="module")
def sessions(duck: Connection) -> dict[Any, dict[str, Any]]:
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
    return by_key(session_touches(events_relation(duck, events), max_events=30, max_products=4), "session_id")


def test_once_each_by_last_touch_oldest_first(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["long"]["product_ids"] == [10, 20, 5, 30]
    assert sessions["long"]["times"][-1] == moment("10-01 09:05").timestamp()
    assert [KINDS[kind] for kind in sessions["long"]["kinds"]] == ["view", "remove_from_cart", "view", "purchase"]


def test_ratings_are_summed_and_capped(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["long"]["weights"] == [1, 0, 1, 10]  # of 30: 1 + 3 + 5 + 5


def test_a_crawlers_session_keeps_only_its_latest(sessions: dict[Any, dict[str, Any]]) -> None:
    assert sessions["crawler"]["product_ids"] == [136, 137, 138, 139]


KIND = st.sampled_from(["view", "cart", "purchase", "remove_from_cart"])
#: second, product, kind; seconds are few, so that events tie
SESSION = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5), KIND), min_size=1, max_size=14, unique=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(SESSION, min_size=1, max_size=6), st.integers(2, 9), st.integers(1, 4))
def test_arrays_fold_as_sql_does(
    duck: Connection, sessions: list[list[tuple[int, int, str]]], max_events: int, max_products: int
) -> None:
    """The touches that training learns from are those that serving asks with."""
    log: list[Event] = [
        (user, product, kind, f"10-01 09:00:{second:02}", {"user_session": f"s{user}"})
        for user, events in enumerate(sessions)
        for second, product, kind in events
    ]
    found = by_key(session_touches(events_relation(duck, log), max_events, max_products), "user_id")
    in_sql = [list(zip(*(row[name] for name in TOUCHES), strict=True)) for _, row in sorted(found.items())]
    start = moment("10-01 09:00").timestamp()
    kept = [sorted(events)[-max_events:] for events in sessions]  # as the stream's state keeps them
    flat = [event for events in kept for event in events]
    shape = Ragged.of_lengths(np.array([len(events) for events in kept]))
    events = SessionEvents(
        shape,
        np.array([product for _, product, _ in flat]),
        np.array([KINDS.index(kind) for *_, kind in flat], np.int8),
        np.array([start + second for second, *_ in flat]),
    )
    touches = events.touches(shape.offsets[:-1], shape.offsets[1:], max_products)
    columns = (touches.products, touches.kinds, touches.weights, touches.times)
    entries = list(zip(*(column.tolist() for column in columns), strict=True))
    in_arrays = [entries[a:b] for a, b in zip(touches.shape.offsets, touches.shape.offsets[1:], strict=False)]
    assert in_arrays == in_sql
