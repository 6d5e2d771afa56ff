"""Popularity: segment × category, then category, then segment, then everyone.

The categories are the three that a user showed most interest in,
each weighted by its share of the interest; what is still missing is filled with the bestsellers of
everyone.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.item_rows import ItemRows
from app.serve.ragged import NONE, Ragged
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

    @cached_property
    def _cells(self) -> ItemRows:
        """The lists, one after the other."""
        width = self.lists.shape[2]
        return ItemRows.of_table(self.lists.reshape(-1, width), self.scores.reshape(-1, width), len(self.category))

    @cached_property
    def _categories(self) -> ItemRows:
        """The category of each product, as the one that its row lists."""
        of_each = self.category.astype(np.int32)[:, None]
        return ItemRows.of_table(of_each, np.ones(of_each.shape, np.float32), self.lists.shape[1] - 1)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        from app.serve import visit_loops

        everyone, whole_shop = self.lists.shape[0] - 1, self.lists.shape[1] - 1
        touched = visits.touched
        weights = (RECENCY ** touched.shape.ages() * touched.weights).astype(np.float32)
        interest = self._categories.best_sums(touched.shape, touched.products, weights, TOP_CATEGORIES)
        segments = np.where(visits.segments == NONE, everyone, visits.segments).astype(np.int64)
        offsets, cells, counted = visit_loops.levels(
            segments, interest.items, interest.scores, everyone, whole_shop, NEXT_LEVEL
        )
        return self._cells.best_sums(Ragged(offsets), cells, counted, k)

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """No product: popular ones are popular for themselves."""
        return np.full(len(rows), NONE, np.int32)

    def everyone(self, rows: int, k: int) -> Candidates:
        """The same bestsellers for all: the baseline that everything is compared with."""
        result = Candidates.empty(rows, k)
        items, scores = self.lists[-1, -1, :k], self.scores[-1, -1, :k]
        result.items[:, : len(items)], result.scores[:, : len(items)] = items, scores
        return result
