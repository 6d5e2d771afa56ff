"""Sessions in flight, built from posted events as the stream builds them: used at once, before the stream has them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import floor
from typing import NamedTuple

from app.api.posted.batches import EventBatch
from app.events.forgotten import Forgotten
from app.events.identity import BY_ID, OWN_SESSION, ends_session, identity
from app.events.ids import number_of
from app.events.layout import Layout
from app.events.merged import Merged
from app.registry.identities import EVERYONE, Identities

HOUR_MICROS = 3_600_000_000
BEFORE_ALL = -(2**63)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SessionEvent(NamedTuple):
    """An event of a session, in the order of `app.events.identity.SESSION_EVENT`: `at` in microseconds since 1970,
    `product` the internal number."""

    at: int
    product: int
    event_type: str


@dataclass
class _Session:
    given: bool  # whether it has an id of its own
    latest: tuple[int, float, str] = (0, 0.0, "")  # time, arrival and key of the last event, by which one is current
    events: set[tuple[SessionEvent, str]] = field(default_factory=set)  # with its id, where that tells events apart


class PostedSessions:
    """The sessions of users, by the internal number of a user.

    As in the stream, a session ends with its window of so many hours, and keeps its latest events; one without an id is
    the user's own.

    Parameters
    ----------
    layout
        Of the shop: says what ids are, and what makes two events the same.
    window_hours, max_events
        `Settings.session_window_hours`, `Settings.session_max_events`.
    """

    def __init__(self, layout: Layout, window_hours: int, max_events: int):
        self._text_ids, self._by_id = layout.ids == "text", identity(layout) == BY_ID
        self._window, self._max = window_hours * HOUR_MICROS, max_events
        self._users: dict[int, dict[tuple[int, str], _Session]] = {}
        self._arrived: dict[int, float] = {}  # of each user's last event; in the order of arrival

    def __len__(self) -> int:
        """Users with a session."""
        return len(self._users)

    def add(self, batch: EventBatch, who: Identities = EVERYONE) -> None:
        """Take a batch of the log into the sessions of survivors, but for what forgotten users did before."""
        for event in batch.events:
            user, product = (number_of(value, self._text_ids) for value in (event.user_id, event.product_id))
            if user is None or product is None:
                continue
            at = round((event.event_time - EPOCH).total_seconds() * 1e6)
            if at <= (who.forgotten.until(user) or BEFORE_ALL):
                continue
            user = who.merged.survivor(user)
            own = f"{OWN_SESSION}{user}"
            key = (at // self._window, own if event.user_session is None else event.user_session)
            session = self._users.setdefault(user, {}).setdefault(key, _Session(event.user_session is not None))
            same = SessionEvent(at, product, event.event_type)
            session.events.add((same, event.event_id if self._by_id else ""))
            session.latest = max(session.latest, (at, batch.at, key[1]))
            self._bound(session)
            self._arrived.pop(user, None)
            self._arrived[user] = batch.at

    def current(self, user: int, idle_minutes: int) -> list[SessionEvent]:
        """The events of the session that a user was last seen in, oldest first; none if the user wasn't seen.

        Parameters
        ----------
        user
            Internal number.
        idle_minutes
            Silence that ends a session without an id.
        """
        sessions = self._users.get(user)
        if not sessions:
            return []
        session = max(sessions.values(), key=lambda session: session.latest)
        events = [event for event, _ in sorted(session.events)[-self._max :]]
        if session.given:
            return events
        begin = len(events) - 1
        while begin > 0 and not ends_session(_seconds(events[begin]) - _seconds(events[begin - 1]), idle_minutes):
            begin -= 1
        return events[begin:]

    def drop(self, forgotten: Forgotten) -> None:
        """Drop what forgotten users did before."""
        for user, until in forgotten.among([*self._users]).items():
            sessions = self._users[user]
            for session in sessions.values():
                session.events = {pair for pair in session.events if pair[0].at > until}
            self._users[user] = {key: session for key, session in sessions.items() if session.events}
            if not self._users[user]:
                del self._users[user], self._arrived[user]

    def merge(self, merged: Merged) -> None:
        """Hand the sessions of users who were merged on to their survivors."""
        for user in self._users.keys() & merged.survivors.keys():
            survivor = merged.survivor(user)
            theirs = self._users.setdefault(survivor, {})
            for (window, name), session in self._users.pop(user).items():
                name = name if session.given else f"{OWN_SESSION}{survivor}"
                at, arrived, _ = session.latest
                other = theirs.setdefault((window, name), _Session(session.given))
                other.events |= session.events
                other.latest = max(other.latest, (at, arrived, name))
                self._bound(other)
            arrived = self._arrived.pop(user)
            self._arrived[survivor] = max(arrived, self._arrived.pop(survivor, arrived))

    def _bound(self, session: _Session) -> None:
        if len(session.events) > 2 * self._max:
            session.events = set(sorted(session.events)[-self._max :])

    def forget(self, before: float) -> None:
        """Drop users of whom nothing arrived since a moment (seconds since 1970)."""
        for user, arrived in list(self._arrived.items()):
            if arrived >= before:
                break
            del self._arrived[user], self._users[user]


def _seconds(event: SessionEvent) -> int:
    return floor(event.at / 1e6)
