"""Who is here, and what they touched: in this session, and before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.events.vocabulary import KINDS, PURCHASE, TOUCHES
from app.serve.ragged import NONE, Ragged, Where, as_int64

PURCHASED = KINDS.index(PURCHASE)


@dataclass(frozen=True)
class Touches:
    """The products that n visits touched, each once, by their last touch, the oldest first.

    Beside the `shape`, (m,) each: `products` (ids of the shop, or positions in the catalogue, depending on the holder),
    `kinds` (int8, in `KINDS`: the most committed event), `weights` (float32, implicit rating: summed and capped),
    `times` (float64, seconds since 1970, of the last touch).
    """

    shape: Ragged
    products: NDArray[np.integer[Any]]
    kinds: NDArray[np.int8]
    weights: NDArray[np.float32]
    times: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shape)

    @classmethod
    def none(cls, n: int) -> "Touches":
        """n visits that touched nothing."""
        return cls(
            Ragged.empty(n),
            np.empty(0, np.int64),
            np.empty(0, np.int8),
            np.empty(0, np.float32),
            np.empty(0, np.float64),
        )

    @classmethod
    def of_lists(cls, visits: Sequence[Iterable[tuple[int, str, float, float]]]) -> "Touches":
        """From a list for each visit of (product, event type, weight, seconds since 1970)."""
        lists = [list(visit) for visit in visits]
        flat = [touch for visit in lists for touch in visit]
        products, kinds, weights, times = zip(*flat, strict=True) if flat else ((), (), (), ())
        return cls(
            Ragged.of_lengths(np.array([len(visit) for visit in lists], np.int64)),
            np.array(products, np.int64),
            np.array([KINDS.index(kind) for kind in kinds], np.int8),
            np.array(weights, np.float32),
            np.array(times, np.float64),
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> "Touches":
        """From the columns `app.events.vocabulary.TOUCHES` of a table."""
        products, kinds, weights, times = (table[name].combine_chunks() for name in TOUCHES)
        return cls(
            Ragged.of_lists(products),
            products.flatten().to_numpy(),
            kinds.flatten().to_numpy().astype(np.int8),
            weights.flatten().to_numpy().astype(np.float32, copy=False),
            times.flatten().to_numpy(),
        )

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Offsets, products (int64), kinds, weights and times, as loops read them."""
        return self.shape.offsets, as_int64(self.products), self.kinds, self.weights, self.times

    def _values(self, entries: Where | slice) -> dict[str, Any]:
        return {field.name: getattr(self, field.name)[entries] for field in fields(self)[1:]}

    def slice(self, start: int, stop: int) -> "Touches":
        """Those of visits start … stop - 1."""
        shape, entries = self.shape.slice(start, stop)
        return Touches(shape, **self._values(entries))

    def take(self, wanted: NDArray[np.integer[Any]]) -> "Touches":
        """Those of the wanted visits (w,), in that order; `NONE` touched nothing."""
        shape, entries = self.shape.take(wanted)
        return Touches(shape, **self._values(entries))

    def keep(self, kept: NDArray[np.bool_]) -> "Touches":
        """Without those that are not kept (m,)."""
        return Touches(self.shape.keep(kept), **self._values(kept))

    def then(self, later: "Touches") -> "Touches":
        """Each visit's touches followed by its later ones."""
        shape, order = self.shape.joined(later.shape)
        both = {
            field.name: np.concatenate([getattr(self, field.name), getattr(later, field.name)])[order]
            for field in fields(self)[1:]
        }
        return Touches(shape, **both)

    def placed(self, items: NDArray[np.int32]) -> "Touches":
        """With positions (m,) in place of the products, without those that have none."""
        moved, there = Touches(self.shape, items, self.kinds, self.weights, self.times), items != NONE
        return moved if there.all() else moved.keep(there)


@dataclass(frozen=True)
class OtherUsers:
    """Further users whose histories are those of n visits, as they were merged: `users` (m,) beside the `shape`.

    Ids of the shop, or positions in the user table, depending on the holder.
    """

    shape: Ragged
    users: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, users: Sequence[Sequence[int]]) -> "OtherUsers | None":
        """From a list for each visit; None if nobody has any."""
        if not any(users):
            return None
        lengths = np.array([len(each) for each in users], np.int64)
        return cls(Ragged.of_lengths(lengths), np.array([user for each in users for user in each], np.int64))

    def slice(self, start: int, stop: int) -> "OtherUsers":
        """Those of visits start … stop - 1."""
        shape, entries = self.shape.slice(start, stop)
        return OtherUsers(shape, self.users[entries])


@dataclass(frozen=True)
class Visitors:
    """Who asks: `user_ids` (n,) of the shop, and what each touched in this session, by ids of the shop.

    `now` (n,) float64: the moment of each visit, seconds since 1970. `keys` (n,) string: the shop's own ids of the
    users, where ids are text and it is known. `others`: users who were merged into them.
    """

    user_ids: NDArray[np.int64]
    session: Touches
    now: NDArray[np.float64]
    keys: pa.Array | None = None
    others: OtherUsers | None = None

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def of(
        cls, user_ids: Iterable[int], now: float | NDArray[np.float64], session: Touches | None = None
    ) -> "Visitors":
        """One moment for all, or one for each; without a session, users of whom nothing was seen yet."""
        ids = np.asarray(user_ids, np.int64)
        touched = Touches.none(len(ids)) if session is None else session
        return cls(ids, touched, np.broadcast_to(np.asarray(now, np.float64), ids.shape))

    def slice(self, start: int, stop: int) -> "Visitors":
        keys = None if self.keys is None else self.keys[start:stop]
        others = None if self.others is None else self.others.slice(start, stop)
        return Visitors(self.user_ids[start:stop], self.session.slice(start, stop), self.now[start:stop], keys, others)


@dataclass(frozen=True)
class Visits:
    """What generators and rankers are asked: n visits, with history and session apart.

    `users` (n,) int32: position in the user table; `segments` (n,) int32: segment id; both `NONE` if unknown.
    `history`: what the bundle remembers of the user; `session`: what was touched since; products are positions.
    `on_screen` (n,) int32: the product touched last in the session, `NONE` without one.
    `now` (n,) float64: seconds since 1970. `others`: further users, by position, whose histories are in `history` too.
    """

    users: NDArray[np.int32]
    segments: NDArray[np.int32]
    history: Touches
    session: Touches
    on_screen: NDArray[np.int32]
    now: NDArray[np.float64]
    others: OtherUsers | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def joint(self) -> NDArray[np.bool_]:
        """Whether the history is that of several users, whom the models have not seen as one: (n,)."""
        return np.zeros(len(self), np.bool_) if self.others is None else self.others.shape.lengths > 0

    @property
    def fresh(self) -> NDArray[np.bool_]:
        """Whether something was touched that the models have not seen: (n,)."""
        return self.session.shape.lengths > 0

    @cached_property
    def touched(self) -> Touches:
        """History, then session; a remembered product that the session has again stands where the session has it."""
        if len(self.history.products) == 0:
            return self.session
        if len(self.session.products) == 0:
            return self.history
        from app.serve import visit_loops

        offsets, *values = visit_loops.followed(*self.history.arrays, *self.session.arrays)
        return Touches(Ragged(offsets), *values)

    @cached_property
    def counted(self) -> Touches:
        """What was touched, without what was only removed from the cart."""
        kept = self.touched.weights > 0
        return self.touched if kept.all() else self.touched.keep(kept)

    def slice(self, start: int, stop: int) -> "Visits":
        """Visits start … stop - 1."""
        return Visits(
            self.users[start:stop],
            self.segments[start:stop],
            self.history.slice(start, stop),
            self.session.slice(start, stop),
            self.on_screen[start:stop],
            self.now[start:stop],
            None if self.others is None else self.others.slice(start, stop),
        )
