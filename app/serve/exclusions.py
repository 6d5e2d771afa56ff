"""What must not be in a list; worked out once, and carried by the answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.ragged import NONE, pair_keys, unpack_keys
from app.serve.users import UserTable
from app.serve.visits import PURCHASED, Visits

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Exclusions:
    """Pairs of a visit's row and a product's position, as sorted `pair_keys` (m,); and products that are in no list.

    `available` (p,): whether each product of the catalogue may be recommended at all; None if all may.
    """

    keys: NDArray[np.int64]
    available: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        rows: NDArray[np.integer[Any]],
        items: NDArray[np.integer[Any]],
        available: NDArray[np.bool_] | None = None,
    ) -> "Exclusions":
        """From pairs (m,) in any order."""
        return cls(np.sort(pair_keys(rows, items)), available)

    def hold(self, rows: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Whether each pair is excluded; arrays of any one shape."""
        held = np.zeros(np.shape(items), np.bool_) if self.available is None else ~self.available[items]
        if len(self.keys) == 0:
            return held
        keys = pair_keys(rows, items)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return held | (self.keys[places] == keys)

    def allowed(self, row: int, products: int) -> NDArray[np.bool_]:
        """Which of so many products may be in the list of one visit: (p,)."""
        allowed = np.ones(products, np.bool_) if self.available is None else self.available.copy()
        ends = np.searchsorted(self.keys, pair_keys(np.array([row, row + 1]), np.zeros(2, np.int64)))
        allowed[unpack_keys(self.keys[ends[0] : ends[1]])[1]] = False
        return allowed

    def first_allowed(self, part: Candidates, k: int) -> NDArray[np.int32]:
        """The first k products (n, k) of one generator that are not excluded, `NONE` where there are no more."""
        rows = np.broadcast_to(np.arange(len(part.items))[:, None], part.items.shape)
        out = (part.items == NONE) | self.hold(rows, part.items)
        allowed_first = np.argsort(out, axis=1, kind="stable")[:, :k]
        chosen = np.take_along_axis(np.where(out, NONE, part.items), allowed_first, axis=1)
        return np.pad(chosen, ((0, 0), (0, k - chosen.shape[1])), constant_values=NONE).astype(np.int32)


def exclusions(visits: Visits, catalogue: Catalogue, users: UserTable, bought_days: int) -> Exclusions:
    """The product on screen, what was bought in the session or by the user lately, and what is not available.

    Parameters
    ----------
    visits
        n visits, whose `now` the days are counted back from.
    catalogue, users
        Of the bundle.
    bought_days
        Days during which a bought product is not recommended again.
    """
    from app.serve import visit_loops

    offsets, products, kinds, *_ = visits.session.arrays
    since = visits.now - bought_days * SECONDS_PER_DAY
    keys = [
        visit_loops.seen(visits.on_screen, offsets, products, kinds, PURCHASED),
        users.bought_since(np.arange(len(visits)), visits.users, since),
    ]
    if visits.others is not None:
        keys.append(users.bought_since(visits.others.shape.rows(), visits.others.users, since))
    return Exclusions(np.sort(np.concatenate(keys)), catalogue.available)
