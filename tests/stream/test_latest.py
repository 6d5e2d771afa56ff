"""One session of each user is current, wherever its events came in."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.stream import latest
from app.stream.latest import LatestEvents, LatestSessions, clear

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)
ARRIVED = datetime(2024, 5, 6, tzinfo=UTC)
HOURS = 6
MICROS = pa.timestamp("us", tz="UTC")

Event = tuple[float, int, str | None]  #: hours after noon, user, session


def handed_on(*events: Event) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "event_time": pa.array([NOON + timedelta(hours=hour) for hour, _, _ in events], MICROS),
            "user_id": pa.array([user for _, user, _ in events], pa.int64()),
            "session": pa.array([session or f" {user}" for _, user, session in events], pa.string()),
            "arrived_at": pa.array([ARRIVED] * len(events), MICROS),
        }
    )


def told(folder: Path, *parts: list[Event]) -> LatestSessions:
    """What is told of events that came in several parts."""
    for number, events in enumerate(parts):
        written = LatestEvents()
        for event in events:  # each a batch of its own
            written.add(handed_on(event))
        written.write(folder, number)
    return LatestSessions.read(folder)


def sessions(*rows: tuple[int, str, int]) -> pa.RecordBatch:
    """User, session, number of the window after noon."""
    edges = [NOON + timedelta(hours=HOURS * number) for _, _, number in rows]
    windows = [{"start": edge, "end": edge + timedelta(hours=HOURS)} for edge in edges]
    return pa.RecordBatch.from_pydict(
        {
            "user_id": pa.array([user for user, _, _ in rows], pa.int64()),
            "session": pa.array([session for _, session, _ in rows], pa.string()),
            "window": pa.array(windows, pa.struct([("start", MICROS), ("end", MICROS)])),
        }
    )


def test_the_session_with_the_latest_event(tmp_path: Path) -> None:
    known = told(tmp_path, [(0, 1, "a"), (1, 1, "c"), (2, 2, "a")], [(2, 1, "b"), (0, 2, "b")])
    rows = sessions((1, "a", 0), (1, "b", 0), (2, "b", 0), (1, "c", 0), (2, "a", 0))
    assert known.are_current(rows).tolist() == [False, True, False, False, True]


def test_of_a_session_on_both_sides_of_an_edge_the_later_side(tmp_path: Path) -> None:
    known = told(tmp_path, [(5.9, 1, "t"), (6.0, 1, "t"), (5.999, 2, "t")])
    rows = sessions((1, "t", 0), (1, "t", 1), (2, "t", 0))
    assert known.are_current(rows).tolist() == [False, True, True]


def test_in_a_tie_the_greater_id_whatever_part_it_came_in(tmp_path: Path) -> None:
    known = told(tmp_path, [(1, 1, "y"), (1, 2, "x")], [(1, 1, "x"), (1, 2, "y")])
    rows = sessions((1, "x", 0), (1, "y", 0), (2, "x", 0), (2, "y", 0))
    assert known.are_current(rows).tolist() == [False, True, False, True]


def test_a_session_without_an_id_is_the_users(tmp_path: Path) -> None:
    known = told(tmp_path, [(1, 1, "a"), (2, 1, None), (2, -7, None)])
    rows = sessions((1, "a", 0), (1, " 1", 0), (-7, " -7", 0))
    assert known.are_current(rows).tolist() == [False, True, True]


def test_a_part_without_events_tells_nothing_and_all_is_deleted_in_the_end(tmp_path: Path) -> None:
    known = told(tmp_path, [], [(1, 1, "a")])
    assert known.are_current(sessions((1, "a", 0))).tolist() == [True]
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 11), st.integers(1, 4), st.sampled_from(["a", "b", None]), st.integers(0, 2), st.booleans()
        ),
        min_size=1,
        max_size=40,
    )
)
def test_exactly_one_of_each_user(tmp_path_factory: pytest.TempPathFactory, events: list) -> None:
    """Of random events, in random parts, reduced at random: by hand the same."""
    folder = tmp_path_factory.mktemp("parts")
    parts: dict[int, LatestEvents] = defaultdict(LatestEvents)
    for hour, user, session, part, reduced in events:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(latest, "PENDING", 0 if reduced else 10**6)
            parts[part].add(handed_on((hour, user, session)))
    for number, written in parts.items():
        written.write(folder, number)
    rows = sorted({(user, session or f" {user}", hour // HOURS) for hour, user, session, _, _ in events})
    last: dict[int, tuple[int, str]] = {}
    for hour, user, session, _, _ in events:
        last[user] = max(last.get(user, (-1, "")), (hour, session or f" {user}"))
    expected = [last[user][1] == session and last[user][0] // HOURS == window for user, session, window in rows]
    assert LatestSessions.read(folder).are_current(sessions(*rows)).tolist() == expected
    assert sum(expected) == len(last)
