"""The fold of a session's events into touches, for sessions in flight; `app.features.sessions` is the same in Spark.

What each session was about: its products, each once, by the last touch; of the weights of its events the capped sum,
of their types the most committed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.events.vocabulary import KINDS, MAX_RATING, RATING
from app.serve.ragged import Ragged, first_of_each
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
        shape, entries = Ragged.ranges(starts, ends - starts)
        kinds = self.kinds[entries]
        touches = folded(Touches(shape, self.products[entries], kinds, WEIGHTS[kinds], self.times[entries]))
        return touches.keep(touches.shape.ages() < max_products)


def folded(touched: Touches) -> Touches:
    """What was touched, each product of a visit once, from touches in any order in which a product may come again."""
    rows, products, times = touched.shape.rows(), touched.products, touched.times
    order = np.lexsort((times, products, rows))
    first = first_of_each(rows[order], products[order])
    row, product = rows[order][first], products[order][first]
    last_touch = _reduced(np.maximum, times[order], first)
    weight = np.minimum(_reduced(np.add, touched.weights[order], first), MAX_RATING)
    kind = _reduced(np.maximum, touched.kinds[order], first)
    by_touch = np.lexsort((product, last_touch, row))
    return Touches(
        Ragged.of_rows(row, len(touched)),
        product[by_touch],
        kind[by_touch],
        weight[by_touch].astype(np.float32),
        last_touch[by_touch],
    )


def _reduced(how: np.ufunc, values: NDArray, first: NDArray[np.int64]) -> NDArray:
    """Values (m,) brought together from each of the `first` on, keeping their type."""
    return how.reduceat(values, first) if len(first) else values[:0]
