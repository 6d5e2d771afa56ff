"""Sessions in flight as the recommender is asked about them; by hand and against a plain rewriting."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events.vocabulary import KINDS, MAX_RATING, RATING
from app.serve.visits import Visitors
from app.stream.live import JUDGED_PER_SESSION, LiveSessions
from tests.stream.shop import PARAMETERS

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


def table(sessions: list[list[Event]], given: bool = True) -> pa.RecordBatch:
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
    columns = {
        "user_id": users,
        "events": pa.array(rows, pa.list_(EVENT)),
        "given": pa.array([given] * len(rows), pa.bool_()),
    }
    return pa.RecordBatch.from_pydict(columns)


def live(sessions: list[list[Event]], given: bool = True) -> LiveSessions:
    return LiveSessions.of(table(sessions, given), NOW, PARAMETERS)


def visit(visitors: Visitors, row: int) -> list[tuple[int, float, str]]:
    """Product, weight and kind of each touch."""
    one = visitors.session.slice(row, row + 1)
    kinds = [KINDS[kind] for kind in one.kinds]
    return list(zip(one.products.tolist(), one.weights.tolist(), kinds, strict=True))


def test_events_are_sorted_and_each_stands_once() -> None:
    """As Spark hands them: latest first. The event that came again is the one of the earlier micro-batch."""
    sessions = live([[(3, 7, "view", NOW), (1, 8, "cart", NOW), (1, 8, "cart", BEFORE), (1, 8, "view", NOW)], []])
    assert sessions.user_ids.tolist() == [100, 101]
    assert sessions.events.shape.offsets.tolist() == [0, 3, 3]
    assert sessions.events.products.tolist() == [8, 8, 7]
    assert [KINDS[kind] for kind in sessions.events.kinds] == ["cart", "view", "view"]
    assert sessions.events.times.tolist() == [1, 1, 3]
    assert sessions.new.tolist() == [False, True, True]
    assert sessions.arrived.tolist() == [999, 1_999, 1_999]
    assert sessions.oldest_arrival().tolist() == [1_999, np.inf]


def test_what_was_touched_before_an_event_has_each_product_at_its_last_touch() -> None:
    """7 viewed, 8 carted, 7 bought, 8 removed, 9 bought three times: 15 is capped at 10."""
    events = [
        (1, 7, "view", NOW),
        (2, 8, "cart", NOW),
        (3, 7, "purchase", NOW),
        (4, 8, "remove_from_cart", NOW),
        (5, 9, "purchase", NOW),
        (6, 9, "purchase", NOW),
        (7, 9, "purchase", NOW),
    ]
    sessions = live([events])
    before = sessions.visitors(np.array([0, 3]), np.array([1.0, 4.0]))
    assert before.user_ids.tolist() == [100] * 2
    assert visit(before, 0) == []
    assert visit(before, 1) == [(8, 3, "cart"), (7, 6, "purchase")]
    now = sessions.current(np.array([0]))
    assert visit(now, 0) == [(7, 6, "purchase"), (8, 3, "cart"), (9, 10, "purchase")]
    assert now.now.tolist() == [7]


def test_a_session_without_an_id_ends_with_a_long_silence() -> None:
    """As in training: the events before it are another visit's, and the first after it was asked with nothing."""
    idle = PARAMETERS.session_idle_minutes * 60
    events = [
        (0, 1, "view", NOW),
        (idle, 2, "view", NOW),
        (2 * idle + 1, 3, "view", NOW),
        (2 * idle + 5, 4, "view", NOW),
    ]
    sessions = live([events], given=False)
    assert visit(sessions.current(np.array([0])), 0) == [(3, 1, "view"), (4, 1, "view")]
    before = sessions.visitors(np.arange(4), np.zeros(4))
    assert [[product for product, *_ in visit(before, row)] for row in range(4)] == [[], [1], [], [3]]
    assert len(visit(live([events], given=True).current(np.array([0])), 0)) == 4


def test_events_with_ids_of_their_own_are_the_same_by_these_alone() -> None:
    """Two lines of an order are two, though of one second; one that is sent again is one, though its time differs."""
    events = [(1, 7, "purchase", NOW), (1, 7, "purchase", NOW), (2, 8, "view", NOW), (3, 8, "view", BEFORE)]
    plain = table([events])
    rows = plain["events"].to_pylist()
    for row, event_id in zip(rows[0], ["a", "b", "c", "c"], strict=True):
        row["event_id"] = event_id
    with_ids = pa.array(rows, pa.list_(pa.struct([*EVENT.fields, pa.field("event_id", pa.string())])))
    sessions = LiveSessions.of(plain.set_column(1, "events", with_ids), NOW, PARAMETERS)
    assert sessions.events.products.tolist() == [7, 7, 8]
    assert sessions.events.times.tolist() == [1, 1, 3], "the first that came"


def test_only_the_latest_products_of_a_session_count() -> None:
    most = PARAMETERS.session_max_products
    sessions = live([[(second, second, "view", NOW) for second in range(most + 5)]])
    assert [product for product, *_ in visit(sessions.current(np.array([0])), 0)] == list(range(5, most + 5))


def test_only_new_events_on_another_product_are_judged() -> None:
    old = [(1, 7, "view", BEFORE), (2, 8, "view", BEFORE)]
    new = [(3, 8, "cart", NOW), (4, 9, "view", NOW), (5, 7, "view", NOW), (6, 8, "view", NOW), (7, 9, "view", NOW)]
    sessions = live([[(1, 9, "view", NOW)], [*old, *new]])
    judged = sessions.judged()
    assert sessions.events.shape.rows()[judged].tolist() == [0, 1, 1, 1]  # three a session at most
    assert sessions.events.shape.places()[judged].tolist() == [0, 3, 4, 5]  # not the cart of 8: 8 was on screen
    assert sessions.events.products[judged].tolist() == [9, 9, 7, 8]


def test_nothing_gives_nothing() -> None:
    sessions = live([])
    assert len(sessions) == 0
    assert len(sessions.judged()) == 0
    assert len(sessions.visitors(np.array([], int), np.array([]))) == 0
    assert len(sessions.current(np.array([], int))) == 0


EVENTS = st.tuples(
    st.integers(0, 5), st.integers(1, 4), st.sampled_from([*RATING, "remove_from_cart"]), st.sampled_from([BEFORE, NOW])
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(EVENTS, min_size=1, max_size=12), max_size=5))
def test_as_a_plain_rewriting(given_sessions: list[list[Event]]) -> None:
    sessions = live(given_sessions)
    judged = sessions.judged()
    found = list(
        zip(
            sessions.events.shape.rows()[judged].tolist(),
            sessions.events.shape.places()[judged].tolist(),
            sessions.events.products[judged].tolist(),
            strict=True,
        )
    )
    visitors = sessions.current(np.arange(len(sessions)))
    expected = []
    for row, events in enumerate(given_sessions):
        first: dict[tuple[int, int, str], int] = {}
        for t, product, kind, seen in events:
            key = (t, product, kind)
            first[key] = min(first.get(key, seen), seen)
        kept = sorted(first)
        place: dict[int, tuple[int, float, int]] = {}
        count = 0
        for number, (t, product, kind) in enumerate(kept):
            repeated = number > 0 and kept[number - 1][1] == product
            if first[t, product, kind] == NOW and not repeated and count < JUDGED_PER_SESSION:
                expected.append((row, number, product))
                count += 1
            _, rating, strongest = place.get(product, (0, 0.0, 0))
            place[product] = (number, rating + RATING.get(kind, 0), max(strongest, KINDS.index(kind)))
        by_touch = sorted(place.items(), key=lambda entry: entry[1][0])
        assert visit(visitors, row) == [(p, min(rating, MAX_RATING), KINDS[kind]) for p, (_, rating, kind) in by_touch]
    assert found == expected
