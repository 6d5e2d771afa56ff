"""The contract of rankers: what orders a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.pool import Pool
from app.serve.visits import Visits


@dataclass(frozen=True)
class Ranked:
    """Lists for n visits: `items` (n, k) int32, `NONE` where there are no more; `scores` (n, k) float32;
    `sources` (n, k) int8: which of the pool's generators contributes most to the place, `NONE` where it is empty."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.int8]

    @classmethod
    def of(cls, pool: Pool, scores: NDArray[np.float32], terms: NDArray[np.float64], k: int) -> "Ranked":
        """The k best of a pool for each visit, of equal ones the smaller product, with their sources: of each place the
        generator with the largest term, the first of equal ones.

        Parameters
        ----------
        scores
            Of the pool's proposals (m,); what is not above 0 is in no list.
        terms
            How much each generator speaks for each proposal: (m, g).
        """
        from app.serve import pool_loops

        return cls(*pool_loops.ranked(pool.keys, scores, terms, pool.visits, k))


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
