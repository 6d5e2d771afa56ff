"""What a visit wants to be answered with: filters, applied so that lists stay full.

A filter acts on what each generator proposes, before ranking: as if the generators knew only the products that pass.
So a place in a filtered list means what it means in one without a filter. Generators are asked for `DEPTH`
candidates then; what is still missing after ranking is filled up from the catalogue, the most popular first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serve.contract import Candidates
from app.serve.exclusions import Exclusions
from app.serve.ragged import NONE
from app.serve.rankers.contract import Ranked

DEPTH = 1_000  #: candidates asked of a generator where a filter will take some of them away


@dataclass(frozen=True)
class Wanted:
    """Which products may be in the list of each of n visits: `passing[which[i]]`.

    `passing` (f, p) bool: the products that pass each of f filters. `which` (n,) int: the filter of each visit.
    """

    passing: NDArray[np.bool_]
    which: NDArray[np.intp]

    def narrowed(self, part: Candidates, k: int) -> Candidates:
        """The first k candidates (n, k) of one generator that pass."""
        out = (part.items == NONE) | ~self.passing[self.which[:, None], part.items]
        first = np.argsort(out, axis=1, kind="stable")[:, :k]
        gone = np.take_along_axis(out, first, axis=1)
        items = np.where(gone, NONE, np.take_along_axis(part.items, first, axis=1))
        scores = np.where(gone, 0, np.take_along_axis(part.scores, first, axis=1))
        return Candidates(items.astype(np.int32), scores.astype(np.float32))

    def filled(self, lists: Ranked, excluded: Exclusions, popular: NDArray[np.intp], source: int) -> Ranked:
        """The lists with their empty places filled.

        Parameters
        ----------
        lists
            For the n visits.
        excluded
            What must not be in them.
        popular
            All products (p,), the most popular first.
        source
            Number of the generator that the filled places are put down to. Their score is 0.
        """
        short = np.flatnonzero((lists.items == NONE).any(axis=1))
        if len(short) == 0:
            return lists
        items, sources = lists.items.copy(), lists.sources.copy()
        for row in short.tolist():
            passing = self.passing[self.which[row]] & excluded.allowed(row, len(popular))
            length = int((items[row] != NONE).sum())
            passing[items[row, :length]] = False
            more = popular[passing[popular]][: items.shape[1] - length]
            items[row, length : length + len(more)] = more
            sources[row, length : length + len(more)] = source
        return Ranked(items, lists.scores, sources)
