"""Weighted reciprocal rank: candidates count by the places that their generators gave them.

Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank
Learning Methods" (2009), with a weight for each generator.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from app.serve.contract import best_per_row
from app.serve.pool import Pool
from app.serve.ragged import NONE, pair_keys
from app.serve.rankers.contract import Ranked
from app.serve.visits import Visits

FILE = "reciprocal_rank.json"


@dataclass(frozen=True)
class ReciprocalRank:
    """Ranks by Σ weight / (offset + rank) over generators; one without a weight counts nothing.

    The smaller the offset, the more do the first places count; that of the paper is 60. A place's source is the
    generator with the largest term.
    """

    name: ClassVar[str] = "reciprocal_rank"

    weights: dict[str, float]
    offset: float = 60.0

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(**json.loads((folder / FILE).read_text()))

    def rank(self, pool: Pool, visits: Visits, k: int) -> Ranked:
        weights = np.array([self.weights.get(name, 0.0) for name in pool.generators])
        terms = np.where(pool.ranks > 0, weights / (self.offset + np.maximum(pool.ranks, 1)), 0.0)
        total = terms.sum(axis=1)
        speaks = total > 0
        best = best_per_row(pool.rows[speaks], pool.items[speaks], total[speaks].astype(np.float32), pool.visits, k)
        row, place = np.nonzero(best.items != NONE)
        entry = np.searchsorted(pool.keys, pair_keys(row, best.items[row, place]))
        sources = np.full(best.items.shape, NONE, np.int8)
        sources[row, place] = terms[entry].argmax(axis=1)
        return Ranked(best.items, best.scores, sources)
