"""Popularity: segment × category, then category, then segment, then everyone.

The categories are the three that a user showed most interest in,
each weighted by its share of the interest; what is still missing is filled with the bestsellers of
everyone.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates, top_per_row
from app.serve.ragged import NONE
from app.serve.visits import Visits

TOP_CATEGORIES = 3  #: of a user
RECENCY = 0.8  #: an item counts so much less for each one seen after it
NEXT_LEVEL = 1e-3  #: each level counts so much less: it fills up behind the one before


class Popularity:
    """Lists of popular products.

    `lists` (s + 1, c + 1, n) int32: best products of a segment (last row: of everyone) in a category
    (last column: in all), -1 where there are no more; `scores` likewise, scaled to at most 1.
    """

    name: ClassVar[str] = "popularity"

    def __init__(self, lists: NDArray[np.int32], scores: NDArray[np.float32], category: NDArray[np.int32]):
        self.lists, self.scores, self.category = lists, scores, category

    def save(self, folder: Path) -> None:
        np.save(folder / "lists.npy", self.lists)
        np.save(folder / "scores.npy", self.scores)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        lists, scores = (mapped(folder / f"{name}.npy") for name in ("lists", "scores"))
        return cls(lists, scores, catalogue.category)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        n, everything = len(visits), self.lists.shape[1] - 1
        everyone = self.lists.shape[0] - 1
        segment = np.where(visits.segments == NONE, everyone, visits.segments)
        touched = visits.touched
        weights = RECENCY ** touched.shape.ages() * touched.weights
        interest = top_per_row(touched.shape.rows(), self.category[touched.products], weights, n, TOP_CATEGORIES)
        share = interest.scores / np.maximum(interest.scores.sum(axis=1, keepdims=True), 1e-9)
        rows, wanted = np.nonzero(interest.items != NONE)
        category = interest.items[rows, wanted]
        share = share[rows, wanted]
        all_rows, whole_shop = np.arange(n), np.full(n, everything)
        # The four levels, one after the other: whose list of which category, and how much its scores count.
        row = np.concatenate([rows, rows, all_rows, all_rows])
        of = np.concatenate([segment[rows], np.full_like(rows, everyone), segment, np.full(n, everyone)])
        within = np.concatenate([category, category, whole_shop, whole_shop])
        weight = np.concatenate([share, share * NEXT_LEVEL, np.full(n, NEXT_LEVEL**2), np.full(n, NEXT_LEVEL**3)])
        items, scores = self.lists[of, within, :k], self.scores[of, within, :k] * weight[:, None]
        there = (items != NONE) & (scores > 0)
        return top_per_row(row[np.nonzero(there)[0]], items[there], scores[there], n, k)

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """No product: popular ones are popular for themselves."""
        return np.full(len(rows), NONE, np.int32)

    def everyone(self, rows: int, k: int) -> Candidates:
        """The same bestsellers for all: the baseline that everything is compared with."""
        result = Candidates.empty(rows, k)
        items, scores = self.lists[-1, -1, :k], self.scores[-1, -1, :k]
        result.items[:, : len(items)], result.scores[:, : len(items)] = items, scores
        return result
