"""The pool: what all generators propose to a batch of visits, each product once a visit."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.serve.contract import Candidates
from app.serve.exclusions import Exclusions
from app.serve.ragged import Ragged, unpack_keys

ANY = np.empty(0, np.bool_)  #: stands for products that are all available


@dataclass(frozen=True)
class Pool:
    """m proposals to n visits, sorted by visit and product.

    `keys` (m,): `pair_keys` of visit and product. `ranks` (m, g) int32: the place that each generator gave the
    product, from 1; 0 where it did not propose it. `scores` (m, g) float32: its own score, 0 there.
    """

    visits: int
    generators: tuple[str, ...]
    keys: NDArray[np.int64]
    ranks: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The visit of each proposal: (m,)."""
        return unpack_keys(self.keys)[0]

    @property
    def items(self) -> NDArray[np.int64]:
        """The product of each proposal, by its position: (m,)."""
        return unpack_keys(self.keys)[1]

    @classmethod
    def of(cls, parts: Mapping[str, Candidates], exclusions: Exclusions) -> "Pool":
        """From the candidates of each generator for the same visits, without what is excluded."""
        from app.serve import pool_loops

        items = np.concatenate([part.items for part in parts.values()], axis=1)
        own = np.concatenate([part.scores for part in parts.values()], axis=1)
        columns = _columns(*(part.items.shape[1] for part in parts.values()))
        available = ANY if exclusions.available is None else exclusions.available
        found = pool_loops.pooled(items, own, *columns, available, exclusions.keys, len(parts))
        return cls(len(items), tuple(parts), *found)

    def take(self, entries: NDArray[np.int64]) -> "Pool":
        """Some of the proposals, by ascending index."""
        return Pool(self.visits, self.generators, self.keys[entries], self.ranks[entries], self.scores[entries])


@lru_cache
def _columns(*widths: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of lists of these widths, side by side: the list of each column, and the place in it."""
    shape = Ragged.of_lengths(np.array(widths))
    return shape.rows(), shape.places()
