"""What a query looks for: the products that were touched, viewed, put into the cart or bought, and new ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.evaluate.names import TARGET
from app.events.vocabulary import CART, PURCHASE, VIEW
from app.serve.ragged import NONE, Ragged

NEW = "new"  #: a product that nobody had touched before the cut
TARGETS = (VIEW, CART, PURCHASE, NEW)
ANY = 1  #: bit of a product that was touched at all
#: Bit of each target in the column `targets` of a query.
BITS = {name: 2 << place for place, name in enumerate(TARGETS)}
#: The bits of an event, in SQL.
EVENT_BITS = (
    "case event_type " + " ".join(f"when '{name}' then {ANY | BITS[name]}" for name in (VIEW, CART, PURCHASE))
) + f" else {ANY} end"


@dataclass(frozen=True)
class Wanted:
    """The relevant products of n queries.

    `shape` of the others, (m,) each: `products` (int64) and `targets` (int, `ANY` and `BITS`).
    """

    shape: Ragged
    products: NDArray[np.int64]
    targets: NDArray[np.int32]

    @classmethod
    def of(cls, table: pa.Table) -> "Wanted":
        """From a table of queries with columns relevant and targets."""
        relevant, targets = (table[name].combine_chunks() for name in ("relevant", "targets"))
        flat = relevant.flatten().to_numpy(zero_copy_only=False)
        return cls(Ragged.of_lists(relevant), flat, targets.flatten().to_numpy(zero_copy_only=False))

    @classmethod
    def of_lists(cls, relevant: Sequence[NDArray[np.int64]]) -> "Wanted":
        """From the relevant products of each query, touched somehow."""
        shape = Ragged.of_lengths(np.array([len(row) for row in relevant], np.int64))
        products = np.concatenate([np.empty(0, np.int64), *relevant])
        return cls(shape, products, np.full(len(products), ANY, np.int32))

    def found(self, lists: NDArray[np.int64]) -> NDArray[np.int32]:
        """The bits (n, k) of the products in lists (n, k) of product ids; 0 where one is not relevant."""
        rows = np.broadcast_to(np.arange(len(lists))[:, None], lists.shape)
        return np.where(lists != NONE, self.bits(rows, lists), 0)

    def bits(self, rows: NDArray[np.int64], products: NDArray[np.int64]) -> NDArray[np.int32]:
        """The bits of products to the queries of these rows, arrays of any one shape; 0 where one is not relevant."""
        known, product = np.unique(self.products, return_inverse=True)
        if len(known) == 0:
            return np.zeros(products.shape, np.int32)
        wanted = self.shape.rows() * len(known) + product
        order = np.argsort(wanted)
        place = np.minimum(np.searchsorted(known, products), len(known) - 1)
        asked = rows * len(known) + place
        entry = order[np.minimum(np.searchsorted(wanted, asked, sorter=order), len(order) - 1)]
        same = (known[place] == products) & (wanted[entry] == asked)
        return np.where(same, self.targets[entry], 0)

    def counts(self, bit: int) -> NDArray[np.int64]:
        """How many relevant products (n,) each query has of a target."""
        return np.bincount(self.shape.rows()[self.targets & bit > 0], minlength=len(self.shape))


def target_slice(name: str) -> str:
    """The slice of the queries that have a target."""
    return TARGET + name
