"""Weighted reciprocal rank: candidates count by the places that their generators gave them.

Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank
Learning Methods" (2009), with a weight for each generator.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.pool import Pool
from app.serve.rankers.contract import Ranked
from app.serve.visits import Visits

FILE = "reciprocal_rank.json"
FAINT = 1e-6  #: of their terms, so that the others order only what the one that leads leaves open


@dataclass(frozen=True)
class ReciprocalRank:
    """Ranks by Σ weight / (offset + rank) over generators; one without a weight counts nothing.

    The smaller the offset, the more do the first places count; that of the paper is 60. A place's source is the
    generator with the largest term. `in_sessions`, `elsewhere`: the generator that leads in the lists of visits that
    have touched something in their session, and of the others: its places come first, the rest behind them; none if
    empty.
    """

    name: ClassVar[str] = "reciprocal_rank"

    weights: dict[str, float]
    offset: float = 60.0
    in_sessions: str = ""
    elsewhere: str = ""

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(self.parameters))

    @property
    def parameters(self) -> dict[str, Any]:
        """What it is made of; leads that are none are left out, so that programs that know of none can open it."""
        return {name: value for name, value in asdict(self).items() if value != ""}

    def over(self, catalogue: Catalogue) -> "ReciprocalRank":
        return self

    def led(self, in_sessions: str, elsewhere: str) -> "ReciprocalRank":
        """The same with generators that lead."""
        return replace(self, in_sessions=in_sessions, elsewhere=elsewhere)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue, generators: Sequence[str]) -> Self:
        return cls(**json.loads((folder / FILE).read_text()))

    def rank(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        terms = self.terms(pool)
        for lead, led in ((self.in_sessions, visits.fresh), (self.elsewhere, ~visits.fresh)):
            if lead:
                theirs = led[pool.rows]
                terms[theirs] = self._led_by(lead, pool, terms)[theirs]
        return Ranked.of(pool, terms.sum(axis=1).astype(np.float32), terms, k)

    def _led_by(self, lead: str, pool: Pool, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Terms (m, g) by which a generator's places come first, whatever its weight, and the others fill up."""
        column = pool.generators.index(lead)
        rank = pool.ranks[:, column]
        found = FAINT / max(sum(self.weights.values()), 1.0) * terms
        found[:, column] = np.where(rank > 0, 1 / (self.offset + np.maximum(rank, 1)), 0.0)
        return found

    def terms(self, pool: Pool) -> NDArray[np.float64]:
        """What each generator adds to the score of each proposal: (m, g)."""
        from app.serve import pool_loops

        weights = np.array([self.weights.get(name, 0.0) for name in pool.generators])
        return pool_loops.reciprocal(pool.ranks, weights, self.offset)

    def cut(self, pool: Pool, depth: int) -> tuple[Pool, NDArray[np.float64]]:
        """The pool with the best `depth` proposals of each visit alone, and their terms."""
        from app.serve import pool_loops

        terms = self.terms(pool)
        kept = pool_loops.best_entries(pool.keys, terms, depth)
        return pool.take(kept), terms[kept]
