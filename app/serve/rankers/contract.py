"""The contract of rankers: what orders a pool."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.pool import Pool
from app.serve.visits import Visits


@dataclass(frozen=True)
class Ranked:
    """Lists for n visits: `items` (n, k) int32, `NONE` where there are no more; `scores` (n, k) float32;
    `sources` (n, k) int8: which of the pool's generators contributes most to the place, `NONE` where it is empty."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.int8]


class Ranker(Protocol):
    """What orders a pool; see docs/how-to-add.md."""

    name: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open what `save` wrote."""
        ...

    def rank(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        """The k best of the pool for each visit."""
        ...
