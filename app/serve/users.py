"""What a bundle knows of its users: segment, latest products and purchases."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather

from app.events.ids import LARGEST
from app.serve.arrays import mapped
from app.serve.catalogue import positions
from app.serve.ragged import NONE, Ints, Ragged, as_int64
from app.serve.sessions import folded
from app.serve.visits import OtherUsers, Touches, Visitors

KEYS = "keys.arrow"


def stranger(ids: NDArray[np.int64]) -> int:
    """A number that is none of these sorted ids (u,)."""
    if len(ids) == 0 or ids[-1] < LARGEST:
        return LARGEST
    gaps = np.flatnonzero(np.diff(ids) > 1)
    return int(ids[gaps[-1]]) + 1 if len(gaps) else int(ids[0]) - 1


@dataclass(frozen=True)
class UserTable:
    """u users sorted by id.

    `ids` (u,) int64; `segments` (u,) int32; `history`: each user's latest products, by position; and the purchases,
    in the `bought` shape: `bought_items` int32 and `bought_at` int64 (seconds since 1970). `keys` (u,) string: the
    shop's own ids; None where these are the numbers.
    """

    ids: NDArray[np.int64]
    segments: NDArray[np.int32]
    history: Touches
    bought: Ragged
    bought_items: NDArray[np.int32]
    bought_at: NDArray[np.int64]
    keys: pa.Array | None = None

    def save(self, folder: Path) -> None:
        """Write each array as a file of its own, to be memory-mapped."""
        arrays = {
            "ids": self.ids,
            "segments": self.segments,
            "history_offsets": self.history.shape.offsets,
            "history_products": self.history.products.astype(np.int32),
            "history_kinds": self.history.kinds,
            "history_weights": self.history.weights,
            "history_times": self.history.times,
            "bought_offsets": self.bought.offsets,
            "bought_items": self.bought_items,
            "bought_at": self.bought_at,
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
        if self.keys is not None:
            feather.write_feather(pa.table({"key": self.keys}), folder / KEYS, compression="uncompressed")

    @classmethod
    def load(cls, folder: Path) -> "UserTable":
        """Open what `save` wrote."""

        def array(name: str) -> NDArray:
            return mapped(folder / f"{name}.npy")

        history = Touches(
            Ragged(array("history_offsets")),
            *(array(f"history_{name}") for name in ("products", "kinds", "weights", "times")),
        )
        bought = Ragged(array("bought_offsets"))
        keys = folder / KEYS
        return cls(
            array("ids"),
            array("segments"),
            history,
            bought,
            array("bought_items"),
            array("bought_at"),
            feather.read_table(keys, memory_map=True)["key"].combine_chunks() if keys.exists() else None,
        )

    def positions(self, user_ids: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Position of each user; -1 for an unknown one."""
        return positions(self.ids, user_ids)

    def known(self, visitors: Visitors) -> tuple[NDArray[np.int32], OtherUsers | None]:
        """Positions of visitors (n,), and of those who were merged into them.

        Of several who are one the visitor's own position stands for them, or that of the first who is known.
        """
        users = self.positions(visitors.user_ids)
        if visitors.others is None:
            return users, None
        found = self.positions(visitors.others.users)
        shape, found = visitors.others.shape.keep(found != NONE), found[found != NONE]
        stand_in = np.flatnonzero((users == NONE) & (shape.lengths > 0))
        first = shape.offsets[stand_in]
        users[stand_in] = found[first]
        further = np.ones(len(found), np.bool_)
        further[first] = False
        return users, OtherUsers(shape.keep(further), found[further]) if further.any() else None

    def histories(self, users: NDArray[np.int32], others: OtherUsers | None) -> Touches:
        """What is remembered of each user (n,), with the histories of others who are one with them."""
        theirs = self._remembered(users)
        if others is None:
            return theirs
        rows, further = others.shape.rows(), self._remembered(others.users)
        moved = Ragged.of_rows(rows[further.shape.rows()], len(users))
        return folded(theirs.then(replace(further, shape=moved)))

    def _remembered(self, users: Ints) -> Touches:
        """What is remembered of each (n,); nothing of `NONE`."""
        from app.serve import visit_loops

        offsets, *values = visit_loops.of_users(as_int64(users), *self._history)
        return Touches(Ragged(offsets), *values)

    @cached_property
    def _history(self) -> tuple[NDArray[Any], ...]:
        """Offsets, products, kinds, weights and times, as loops read them: as they lie in their files."""
        of = self.history
        return of.shape.offsets, of.products.astype(np.int32, copy=False), of.kinds, of.weights, of.times

    def bought_since(self, rows: NDArray[np.int64], users: Ints, since: NDArray[np.float64]) -> NDArray[np.int64]:
        """`pair_keys` of a visit and each product that was bought at or after its moment `since` (n,), for the visits
        `rows` (m,) of the `users` (m,)."""
        from app.serve import visit_loops

        return visit_loops.bought_since(
            rows, as_int64(users), self.bought.offsets, self.bought_items, self.bought_at, since
        )
