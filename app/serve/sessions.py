"""The fold of a session's events into touches, for sessions in flight; `app.features.sessions` is the same in Spark.

What each session was about: its products, each once, by the last touch; of the weights of its events the capped sum,
of their types the most committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.events.vocabulary import KINDS, MAX_RATING, RATING
from app.serve.ragged import Ragged
from app.serve.visits import Touches

#: Weight of an event, by its code in `KINDS`.
WEIGHTS = np.array([RATING.get(kind, 0.0) for kind in KINDS], np.float32)


@dataclass(frozen=True)
class SessionEvents:
    """The events of n sessions, oldest first, each once.

    Beside the `shape`, (m,) each: `products` (ids of the shop), `kinds` (int8, in `KINDS`), `times` (float64,
    seconds since 1970).
    """

    shape: Ragged
    products: NDArray[np.int64]
    kinds: NDArray[np.int8]
    times: NDArray[np.float64]

    def touches(self, starts: NDArray[np.int64], ends: NDArray[np.int64], max_products: int) -> Touches:
        """What was touched by the events `starts` … `ends` - 1 (q,): a session or a part of it for each row.

        Parameters
        ----------
        starts, ends
            Entries of this table.
        max_products
            The latest so many are kept of each.
        """
        weights = WEIGHTS[self.kinds]
        return _folded(starts, ends, (self.products, self.kinds, weights, self.times), max_products)


def folded(touched: Touches) -> Touches:
    """What was touched, each product of a visit once, from touches in any order in which a product may come again."""
    offsets, *values = touched.arrays
    return _folded(offsets[:-1], offsets[1:], values, len(touched.products))


def _folded(
    starts: NDArray[np.int64], ends: NDArray[np.int64], values: Iterable[NDArray[Any]], max_products: int
) -> Touches:
    from app.serve import visit_loops

    offsets, *found = visit_loops.folded(starts, ends, *values, MAX_RATING, max_products)
    return Touches(Ragged(offsets), *found)
