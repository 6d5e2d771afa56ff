"""The contract of rankers: what orders a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.pool import Pool
from app.serve.ragged import NONE, pair_keys
from app.serve.visits import Visits


@dataclass(frozen=True)
class Ranked:
    """Lists for n visits: `items` (n, k) int32, `NONE` where there are no more; `scores` (n, k) float32;
    `sources` (n, k) int8: which of the pool's generators contributes most to the place, `NONE` where it is empty."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.int8]

    @classmethod
    def of(cls, best: Candidates, pool: Pool, terms: NDArray[np.floating[Any]]) -> "Ranked":
        """Lists with their sources: of each place the generator with the largest term, the first of equal ones.

        Parameters
        ----------
        best
            The lists (n, k).
        pool
            Holds every place of them.
        terms
            How much each generator speaks for each proposal of the pool: (m, g).
        """
        row, place = np.nonzero(best.items != NONE)
        entry = np.searchsorted(pool.keys, pair_keys(row, best.items[row, place]))
        sources = np.full(best.items.shape, NONE, np.int8)
        sources[row, place] = terms[entry].argmax(axis=1)
        return cls(best.items, best.scores, sources)


class Ranker(Protocol):
    """What orders a pool; see docs/how-to-add.md."""

    name: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue, generators: Sequence[str]) -> Self:
        """Open what `save` wrote, for a bundle of this catalogue and generators (their names, in the pool's order).

        Raises
        ------
        ValueError
            It is damaged, or was learned with other generators.
        """
        ...

    def over(self, catalogue: Catalogue) -> Self:
        """The same for the products of another catalogue."""
        ...

    def rank(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        """The k best of the pool for each visit."""
        ...
