"""Sessions in flight as the recommender is asked about them; by hand and against a plain rewriting."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events.vocabulary import MAX_RATING, RATING
from app.stream.live import JUDGED_PER_SESSION, Sessions

SECOND = 1_000_000
NOW, BEFORE = 2_000 * SECOND, 1_000 * SECOND  # times of this and an earlier micro-batch
TIME = pa.timestamp("us", "UTC")
EVENT = pa.struct(
    [
        ("event_time", TIME),
        ("product_id", pa.int64()),
        ("event_type", pa.string()),
        ("seen_at", TIME),
        ("arrived_at", TIME),
    ]
)
Event = tuple[int, int, str, int]  #: second, product, event type, micro-batch


def table(sessions: list[list[Event]]) -> pa.Table:
    """Users 100, 101, …; a file arrives a second before its micro-batch."""
    rows = [
        [
            {
                "event_time": t * SECOND,
                "product_id": p,
                "event_type": kind,
                "seen_at": seen,
                "arrived_at": seen - SECOND,
            }
            for t, p, kind, seen in events
        ]
        for events in sessions
    ]
    users = pa.array(range(100, 100 + len(rows)), pa.int64())
    return pa.table({"user_id": users, "events": pa.array(rows, pa.list_(EVENT))})


def visit(visits: Any, row: int) -> list[tuple[int, float, bool]]:
    part = slice(visits.offsets[row], visits.offsets[row + 1])
    columns = (visits.product_ids[part], visits.ratings[part], visits.bought[part])
    return [(int(p), float(r), bool(b)) for p, r, b in zip(*columns, strict=True)]


def test_events_are_sorted_and_each_stands_once() -> None:
    """As Spark hands them: latest first. The event that came again is the one of the earlier micro-batch."""
    events = [(3, 7, "view", NOW), (1, 8, "cart", NOW), (1, 8, "cart", BEFORE), (1, 8, "view", NOW)]
    sessions = Sessions.of(table([events, []]), NOW)
    assert sessions.user_ids.tolist() == [100, 101]
    assert sessions.offsets.tolist() == [0, 3, 3]
    assert sessions.products.tolist() == [8, 8, 7]
    assert sessions.ratings.tolist() == [1, 3, 1]
    assert sessions.time.tolist() == [1, 1, 3]
    assert sessions.new.tolist() == [True, False, True]
    assert sessions.arrived.tolist() == [1_999, 999, 1_999]


def test_a_prefix_has_each_product_at_its_last_touch() -> None:
    """7 viewed, 8 carted, 7 bought, 8 removed, 9 bought twice: 5 + 5 is capped at 10."""
    events = [
        (1, 7, "view", NOW),
        (2, 8, "cart", NOW),
        (3, 7, "purchase", NOW),
        (4, 8, "remove_from_cart", NOW),
        (5, 9, "purchase", NOW),
        (6, 9, "purchase", NOW),
        (7, 9, "purchase", NOW),
    ]
    sessions = Sessions.of(table([events]), NOW)
    visits = sessions.prefixes(np.array([0, 0, 0]), np.array([0, 3, 7]))
    assert visits.user_ids.tolist() == [100] * 3
    assert visit(visits, 0) == []
    assert visit(visits, 1) == [(8, 3, False), (7, 6, True)]
    assert visit(visits, 2) == [(7, 6, True), (8, 3, False), (9, 10, True)]


def test_only_new_events_on_another_product_are_judged() -> None:
    old = [(1, 7, "view", BEFORE), (2, 8, "view", BEFORE)]
    new = [(3, 8, "cart", NOW), (4, 9, "view", NOW), (5, 7, "view", NOW), (6, 8, "view", NOW), (7, 9, "view", NOW)]
    rows, before, wanted = Sessions.of(table([[(1, 9, "view", NOW)], [*old, *new]]), NOW).judged()
    assert rows.tolist() == [0, 1, 1, 1]  # three a session at most
    assert before.tolist() == [0, 3, 4, 5]  # the cart of 8 is not judged: 8 was on screen
    assert wanted.tolist() == [9, 9, 7, 8]


def test_nothing_gives_nothing() -> None:
    sessions = Sessions.of(table([]), NOW)
    assert len(sessions) == 0
    assert [len(column) for column in sessions.judged()] == [0, 0, 0]
    assert len(sessions.prefixes(np.array([], int), np.array([], int))) == 0


EVENTS = st.tuples(
    st.integers(0, 5), st.integers(1, 4), st.sampled_from([*RATING, "remove_from_cart"]), st.sampled_from([BEFORE, NOW])
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(EVENTS, max_size=12), max_size=5))
def test_as_a_plain_rewriting(given_sessions: list[list[Event]]) -> None:
    sessions = Sessions.of(table(given_sessions), NOW)
    rows, before, wanted = sessions.judged()
    judged = list(zip(rows.tolist(), before.tolist(), wanted.tolist(), strict=True))
    visits = sessions.prefixes(np.arange(len(sessions)), np.diff(sessions.offsets))
    expected = []
    for row, events in enumerate(given_sessions):
        order = [*RATING, "remove_from_cart"]
        first: dict[tuple[int, int, int], int] = {}
        for t, product, kind, seen in events:
            key = (t, product, order.index(kind))
            first[key] = min(first.get(key, seen), seen)
        kept = sorted(first)
        place: dict[int, tuple[int, float, bool]] = {}
        found = 0
        for number, (t, product, kind) in enumerate(kept):
            repeated = number > 0 and kept[number - 1][1] == product
            if first[t, product, kind] == NOW and not repeated and found < JUDGED_PER_SESSION:
                expected.append((row, number, product))
                found += 1
            _, rating, bought = place.get(product, (0, 0.0, False))
            name = order[kind]
            place[product] = (number, rating + RATING.get(name, 0), bought or name == "purchase")
        by_touch = sorted(place.items(), key=lambda entry: entry[1][0])
        assert visit(visits, row) == [(p, min(rating, MAX_RATING), bought) for p, (_, rating, bought) in by_touch]
    assert judged == expected
