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

from app.events.vocabulary import MAX_RATING, PURCHASE, RATING, REMOVE
from app.serve.recommender import Visits
from app.stream.source import ARRIVED, SEEN

JUDGED_PER_SESSION = 3  #: new events of a session judged in one micro-batch: bounds the work of a burst


@dataclass(frozen=True)
class Sessions:
    """n sessions with their events flat, oldest first, each event once.

    `user_ids` (n,), `offsets` (n + 1,), and per event (m,): `products`, `ratings` (implicit rating
    of the event), `bought`, `new` (came in this micro-batch), `time` and `arrived` (seconds since
    1970: of the event, of its file).
    """

    user_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    products: NDArray[np.int64]
    ratings: NDArray[np.float32]
    bought: NDArray[np.bool_]
    new: NDArray[np.bool_]
    time: NDArray[np.float64]
    arrived: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def of(cls, table: pa.Table | pa.RecordBatch, batch_time: int) -> "Sessions":
        """From rows of `live_sessions`; `batch_time` in microseconds tells which events are new."""
        events = table["events"]
        if isinstance(events, pa.ChunkedArray):
            events = events.combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(events), 0).to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(events)), lengths)
        flat = events.flatten()
        column = lambda name: flat.field(name)  # noqa: E731
        time, seen, arrived = (_micros(column(name)) for name in ("event_time", SEEN, ARRIVED))
        products = column("product_id").to_numpy()
        types = pc.index_in(column("event_type"), pa.array(_TYPES)).to_numpy(zero_copy_only=False)
        order = np.lexsort((seen, types, products, time, rows))
        key = [values[order] for values in (rows, time, products, types)]
        # The same event twice (a file sent again): the first that came stays.
        distinct = np.r_[True, np.any([k[1:] != k[:-1] for k in key], axis=0)] if len(order) else np.empty(0, bool)
        order = order[distinct]
        counts = np.bincount(rows[order], minlength=len(events))
        return cls(
            table["user_id"].to_numpy(),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            products[order],
            _RATINGS[types[order]],
            types[order] == _TYPES.index(PURCHASE),
            seen[order] == batch_time,
            time[order] / 1e6,
            arrived[order] / 1e6,
        )

    def prefixes(self, sessions: NDArray[np.int64], lengths: NDArray[np.int64]) -> Visits:
        """The given sessions as they stood after so many of their events.

        Each product stands once, where it was last touched, with its summed and capped rating.
        """
        rows = np.repeat(np.arange(len(sessions)), lengths)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entries = np.repeat(self.offsets[sessions], lengths) + within
        products = self.products[entries]
        order = np.lexsort((within, products, rows))
        row, product = rows[order], products[order]
        first = (
            np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (product[1:] != product[:-1])]) if len(row) else order
        )
        last_touch = np.maximum.reduceat(within[order], first) if len(first) else first
        rating = np.add.reduceat(self.ratings[entries][order], first) if len(first) else self.ratings[:0]
        bought = np.logical_or.reduceat(self.bought[entries][order], first) if len(first) else self.bought[:0]
        row, product = row[first], product[first]
        by_touch = np.lexsort((last_touch, row))
        counts = np.bincount(row, minlength=len(sessions))
        return Visits(
            self.user_ids[sessions],
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            product[by_touch],
            np.minimum(rating[by_touch], MAX_RATING).astype(np.float32),
            bought[by_touch],
        )

    def judged(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """New events whose product could have been in the list just before.

        An event on the product that is on screen anyway is not judged, as that product is never in
        the list.

        Returns
        -------
        tuple
            Session, number of events before, product wanted: (q,) each.
        """
        rows = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        within = np.arange(len(rows)) - self.offsets[rows]
        repeated = np.zeros(len(rows), np.bool_)
        repeated[1:] = (self.products[1:] == self.products[:-1]) & (rows[1:] == rows[:-1])
        candidates = np.flatnonzero(self.new & ~repeated)
        row = rows[candidates]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        chosen = candidates[place < JUDGED_PER_SESSION]
        return rows[chosen], within[chosen], self.products[chosen]


_TYPES = [*RATING, REMOVE]
_RATINGS = np.array([*RATING.values(), 0.0], np.float32)


def _micros(column: pa.Array) -> NDArray[np.int64]:
    return pc.cast(column, pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
