"""A session of posted events is the session that the stream makes of the same events."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.api.answers import _touches
from app.api.posted.batches import AcceptedEvent, EventBatch
from app.api.posted.sessions import PostedSessions
from app.events.forgotten import Forgotten, hashed
from app.events.layout import REES46
from app.events.merged import Merge, Merged
from app.events.vocabulary import EVENT_TYPES, EventType
from app.registry.identities import Identities
from app.serve.recommender import Parameters
from app.stream.live import LiveSessions

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
USER, WINDOW_HOURS, MOST = 7, 6, 8
PARAMETERS = Parameters(
    candidates=50, bought_days=30, session_max_events=MOST, session_max_products=4, session_idle_minutes=30
)
Posted = tuple[int, int, int, EventType]  # hour, minute, product, type
EVENT = st.tuples(st.integers(0, 5), st.integers(0, 110), st.integers(0, 3), st.sampled_from(EVENT_TYPES))


def batch(number: int, events: list[Posted], session: str | None, user: int = USER) -> EventBatch:
    """Events of (hour, minute, product, type)."""
    return EventBatch(
        number=number,
        at=float(number),
        events=tuple(
            AcceptedEvent(
                event_id=f"{number}-{place}",
                event_time=START + timedelta(hours=hour, minutes=minute),
                event_type=kind,
                product_id=str(product),
                user_id=str(user),
                user_session=session,
            )
            for place, (hour, minute, product, kind) in enumerate(events)
        ),
    )


def streamed(batches: list[EventBatch], given: bool) -> LiveSessions:
    """The user's session as the stream's state hands it on: the latest events, of its last window."""
    window = timedelta(hours=WINDOW_HOURS)
    events = [
        {
            "event_time": event.event_time,
            "product_id": int(event.product_id),
            "event_type": event.event_type,
            "seen_at": START + timedelta(days=one.number),
            "arrived_at": START,
        }
        for one in batches
        for event in one.events
    ]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    last = max((event["event_time"] - epoch) // window for event in events)
    inside = [event for event in events if (event["event_time"] - epoch) // window == last]
    # One event that came twice is kept twice by the state; here it would push out another.
    distinct = {tuple(list(event.values())[:3]): event for event in reversed(inside)}
    latest = [distinct[key] for key in sorted(distinct, reverse=True)[:MOST]]
    moment = pa.timestamp("us", tz="UTC")
    kind = pa.struct(
        [
            ("event_time", moment),
            ("product_id", pa.int64()),
            ("event_type", pa.string()),
            ("seen_at", moment),
            ("arrived_at", moment),
        ]
    )
    table = pa.record_batch(
        {"user_id": [USER], "given": [given], "events": pa.array([latest], pa.list_(kind))},
    )
    return LiveSessions.of(table, 0, PARAMETERS)


#: Of three events of one moment the bound leaves one.
TIED: list[Posted] = [(0, 0, 0, "view"), (0, 0, 0, "cart"), (0, 0, 0, "remove_from_cart")]


@settings(deadline=None, max_examples=120)
@example([TIED + [(0, minute, 1, "view") for minute in range(1, MOST)]], "s")
@given(st.lists(st.lists(EVENT, min_size=1, max_size=12), min_size=1, max_size=3), st.sampled_from(["s", None]))
def test_a_posted_session_is_the_streams(posted: list[list[Posted]], session: str | None) -> None:
    batches = [batch(number + 1, events, session) for number, events in enumerate(posted)]
    sessions = PostedSessions(REES46, WINDOW_HOURS, MOST)
    for one in batches:
        sessions.add(one)
    here = sessions.current(USER, PARAMETERS.session_idle_minutes)
    stream = streamed(batches, session is not None)
    theirs = stream.current(np.array([0]))
    ours = _touches([here], PARAMETERS.session_max_products)
    assert here[-1].at / 1e6 == theirs.now[0]
    for name in ("products", "kinds", "weights", "times"):
        assert getattr(ours, name).tolist() == getattr(theirs.session, name).tolist(), name


def test_the_session_that_a_user_was_last_seen_in_counts() -> None:
    sessions = PostedSessions(REES46, WINDOW_HOURS, MOST)
    sessions.add(batch(1, [(0, 1, 1, "view"), (0, 9, 2, "view")], "late"))
    sessions.add(batch(2, [(0, 5, 3, "view")], "early"))
    assert [event.product for event in sessions.current(USER, 30)] == [1, 2]
    sessions.add(batch(3, [(0, 10, 3, "view")], "early"))
    assert [event.product for event in sessions.current(USER, 30)] == [3, 3]
    assert sessions.current(8, 30) == []


def test_users_of_whom_nothing_comes_are_forgotten() -> None:
    sessions = PostedSessions(REES46, WINDOW_HOURS, MOST)
    sessions.add(batch(1, [(0, 1, 1, "view")], None))
    sessions.forget(1.0)
    assert len(sessions) == 1
    sessions.forget(1.5)
    assert len(sessions) == 0
    assert sessions.current(USER, 30) == []


Step = tuple[int, list[Posted], str | None]  # user, events, session
STEP = st.tuples(st.integers(1, 4), st.lists(EVENT, min_size=1, max_size=12), st.sampled_from(["s", None]))
MERGE = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(deadline=None)
@example([(1, [(0, 0, 0, "view")], None), (1, 2), (2, [(0, 9, 1, "view")], None), (2, 3)])
@given(st.lists(st.one_of(STEP, MERGE), max_size=9))
def test_when_users_are_merged_is_nothing_to_their_session(steps: list[Step | tuple[int, int]]) -> None:
    """A replica that was there all the time, and one that reads the log once all is done."""
    there = PostedSessions(REES46, WINDOW_HOURS, MOST)
    merges: list[Merge] = []
    batches: list[EventBatch] = []
    for number, step in enumerate(steps, 1):
        if len(step) == 2:
            merges.append(Merge(user=step[0], into=step[1], into_key="k", at=number))
            there.merge(Merged.of(merges))
        else:
            user, events, session = step
            batches.append(batch(number, events, session, user))
            there.add(batches[-1], Identities(merged=Merged.of(merges)))
    late, who = PostedSessions(REES46, WINDOW_HOURS, MOST), Identities(merged=Merged.of(merges))
    for one in batches:
        late.add(one, who)
    assert len(there) == len(late)
    for user in range(1, 5):
        assert there.current(user, 30) == late.current(user, 30)
    for before in range(len(steps) + 2):
        there.forget(before)
        assert there._users.keys() == there._arrived.keys()
    assert len(there) == 0


def test_a_joint_session_is_kept_for_as_long_as_the_later_of_the_two() -> None:
    for first, second in ((1, 2), (2, 1)):
        sessions = PostedSessions(REES46, WINDOW_HOURS, MOST)
        for number, user in ((1, first), (5, second), (7, 3)):
            sessions.add(batch(number, [(0, number, number, "view")], None, user))
        sessions.merge(Merged.of([Merge(user=1, into=2, into_key="k", at=1)]))
        sessions.forget(4.0)
        assert [seen.product for seen in sessions.current(2, 30)] == [1, 5]
        sessions.forget(8.0)
        assert len(sessions) == 0


def test_what_a_merged_user_did_before_a_forgetting_counts_for_nobody() -> None:
    """By the id that the event came with: 1 was forgotten at noon and a half minute, 2 was not."""
    moment = round((START + timedelta(seconds=30)).timestamp() * 1e6)
    forgotten = Forgotten("", {hashed("", 1): moment})
    who = Identities(forgotten, Merged.of([Merge(user=1, into=2, into_key="k", at=1)]))
    sessions = PostedSessions(REES46, WINDOW_HOURS, MOST)
    for user in (1, 2):
        sessions.add(batch(user, [(0, 0, user, "view"), (0, 1, 10 + user, "view")], None, user), who)
    assert [seen.product for seen in sessions.current(2, 30)] == [2, 11, 12]
