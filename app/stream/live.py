"""From sessions in flight to what the recommender is asked.

A session that got new events is asked about several times: as it stood just before each of them
(was the product in the list? prequential evaluation: Gama, Sebastião, Rodrigues, "On evaluating
stream learning algorithms", 2013), and as it stands now (the list that is written).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.events.identity import SESSION_EVENT, ends_session
from app.events.vocabulary import KINDS
from app.serve.ragged import Ragged, first_of_each
from app.serve.recommender import Parameters
from app.serve.sessions import SessionEvents
from app.serve.visits import Visitors
from app.stream.sessions import EVENT_ID, SEEN
from app.stream.source import ARRIVED

TYPES = sorted(KINDS)  #: in the order in which SQL sorts them
KIND_OF_TYPE = np.array([KINDS.index(name) for name in TYPES], np.int8)
JUDGED_PER_SESSION = 3  #: new events of a session judged in one micro-batch: bounds the work of a burst


@dataclass(frozen=True)
class LiveSessions:
    """n sessions of `user_ids` (n,), some of whose events came in this micro-batch.

    `keys` (n,) string: the shop's own ids of the users, where ids are text.

    Per event of `events` (m,): `new` (came in this micro-batch), `arrived` (seconds since 1970, of its file), and
    `begins`, the entry at which the visit that it belongs to begins: the first of the session, or, in a session
    without an id, the first after the last long silence.
    """

    user_ids: NDArray[np.int64]
    keys: pa.Array | None
    events: SessionEvents
    new: NDArray[np.bool_]
    arrived: NDArray[np.float64]
    begins: NDArray[np.int64]
    max_products: int

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def of(cls, table: pa.RecordBatch, batch_time: int, parameters: Parameters) -> "LiveSessions":
        """From rows of `live_sessions`.

        Parameters
        ----------
        table
            user_id, given (whether the session has an id) and events.
        batch_time
            The micro-batch's own time in microseconds; events seen at it are new.
        parameters
            Of the bundle: its bounds of a session.
        """
        lists = table["events"]
        events, rows = lists.flatten(), Ragged.of_lists(lists).rows()
        time, seen, arrived = (_micros(events.field(name)) for name in ("event_time", SEEN, ARRIVED))
        products = events.field("product_id").to_numpy()
        types = pc.index_in(events.field("event_type"), pa.array(TYPES)).to_numpy(zero_copy_only=False)
        values = {"event_time": time, "product_id": products, "event_type": types}
        in_order = [rows, *(values[name] for name in SESSION_EVENT)]
        # The same event twice (a file sent again): the first that came stays.
        same = [rows, *_ids(events)] if EVENT_ID in events.type.names else in_order
        first = np.lexsort((seen, *same[::-1]))
        first = first[first_of_each(*(part[first] for part in same))]
        order = first[np.lexsort(tuple(part[first] for part in (seen, *in_order[::-1])))]
        flat = SessionEvents(
            Ragged.of_rows(rows[order], len(lists)), products[order], KIND_OF_TYPE[types[order]], time[order] / 1e6
        )
        given = table["given"].to_numpy(zero_copy_only=False)
        return cls(
            table["user_id"].to_numpy(),
            table["user_key"] if "user_key" in table.schema.names else None,
            flat,
            seen[order] == batch_time,
            arrived[order] / 1e6,
            _begins(flat, given, parameters.session_idle_minutes),
            parameters.session_max_products,
        )

    def visitors(self, ends: NDArray[np.int64], now: NDArray[np.float64]) -> Visitors:
        """Who asked just before the events `ends` (q,) of the moments `now`, with what they had touched."""
        rows = self.events.shape.rows()[ends]
        return Visitors(self.user_ids[rows], self.events.touches(self.begins[ends], ends, self.max_products), now)

    def current(self, sessions: NDArray[np.int64]) -> Visitors:
        """Who asks after the last event of these sessions (s,)."""
        last = self.events.shape.offsets[1:][sessions] - 1
        touches = self.events.touches(self.begins[last], last + 1, self.max_products)
        keys = None if self.keys is None else self.keys.take(pa.array(sessions))
        return Visitors(self.user_ids[sessions], touches, self.events.times[last], keys)

    def judged(self) -> NDArray[np.int64]:
        """New events (q,) whose product could have been in the list just before.

        An event on the product that is on screen anyway is not judged, as that product is never in
        the list.
        """
        products, rows = self.events.products, self.events.shape.rows()
        on_screen = np.zeros(len(rows), np.bool_)
        on_screen[1:] = (products[1:] == products[:-1]) & (self.begins[1:] == self.begins[:-1])
        candidates = np.flatnonzero(self.new & ~on_screen)
        row = rows[candidates]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        return candidates[place < JUDGED_PER_SESSION]

    def oldest_arrival(self) -> NDArray[np.float64]:
        """Arrival of the oldest new event of each session (n,), infinite without one."""
        oldest = np.full(len(self), np.inf)
        np.minimum.at(oldest, self.events.shape.rows()[self.new], self.arrived[self.new])
        return oldest


def _begins(events: SessionEvents, given: NDArray[np.bool_], idle_minutes: int) -> NDArray[np.int64]:
    rows = events.shape.rows()
    starts = events.shape.places() == 0
    silence = ends_session(np.diff(np.floor(events.times), prepend=0), idle_minutes)
    starts |= silence & ~given[rows]
    entries = np.arange(len(rows))
    return np.maximum.accumulate(np.where(starts, entries, 0))


def _ids(events: pa.StructArray) -> list[NDArray[np.int64]]:
    """Numbers (m,) that are equal where the shop's event ids are; an event without one is like no other."""
    codes = events.field(EVENT_ID).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return [np.where(np.isnan(codes), -1 - np.arange(len(codes)), codes).astype(np.int64)]


def _micros(column: pa.Array) -> NDArray[np.int64]:
    return pc.cast(column, pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
