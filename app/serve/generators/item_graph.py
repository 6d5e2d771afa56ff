"""Item graph: products near those of a user in the graph that users span, blurred and sharpened again.

BSPM (Choi, Hong, Park, Cho, "Blurring-Sharpening Process Models for Collaborative Filtering", SIGIR 2023). Its
operators go from products to products, so that a user of whom training knew nothing is answered as one it knew.
"""

from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates, best_per_row
from app.serve.ragged import NONE, first_of_each
from app.serve.row_products import strongest_of_few
from app.serve.sparse import best_columns, load_rows, save_rows, values_at, visit_rows
from app.serve.visits import Touches, Visits

NEAREST = 150  #: products of a visit that the low-pass part is worked out for: those that are best without it
CHUNK = 64  #: visits taken at a time: their nearest products' rows of `outward` are gathered


class ItemGraph:
    """A visit's scores are those of its touched products, added up; all count alike.

    A touched product i gives j the score `near[i, j]` + `inward[i]` · `outward[j]`: `near` (p, p) sparse is the graph
    blurred and sharpened; `inward`, `outward` (p, f) float32 are its low pass, sharpened likewise.
    """

    name: ClassVar[str] = "item_graph"

    def __init__(self, near: csr_matrix, inward: NDArray[np.float32], outward: NDArray[np.float32]):
        self.near, self.inward, self.outward = near, inward, outward

    def save(self, folder: Path) -> None:
        save_rows(folder, "near", self.near)
        np.save(folder / "inward.npy", self.inward)
        np.save(folder / "outward.npy", self.outward)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        inward, outward = (mapped(folder / f"{name}.npy") for name in ("inward", "outward"))
        return cls(load_rows(folder, "near", len(catalogue)), inward, outward)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        counted = visits.counted
        parts = [
            self._answer(counted.slice(start, min(start + CHUNK, len(visits))), k)
            for start in range(0, len(visits), CHUNK)
        ]
        if not parts:
            return Candidates.empty(0, k)
        return Candidates(np.concatenate([x.items for x in parts]), np.concatenate([x.scores for x in parts]))

    def _answer(self, counted: Touches, k: int) -> Candidates:
        asked = visit_rows(counted, np.ones(len(counted.products), np.float32), self.near.shape[0])
        width = max(k, NEAREST)
        nearest = best_columns(strongest_of_few(asked, self.near, width), width)
        found, low_pass = (nearest.items != NONE).sum(axis=1), np.zeros(nearest.items.shape, np.float32)
        for visit, inward in enumerate(asked @ self.inward):  # one's rows of `outward` fit a core's cache, not all
            items = nearest.items[visit, : found[visit]]
            low_pass[visit, : len(items)] = self.outward[items] @ inward
        scores = nearest.scores + low_pass
        row, place = np.nonzero((nearest.items != NONE) & (scores > 0))
        return best_per_row(row, nearest.items[row, place].astype(np.int64), scores[row, place], len(counted), k)

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product that adds most to the item's score."""
        counted = visits.counted
        shape, entries = counted.shape.take(rows)
        seen, item = counted.products[entries], items[shape.rows()]
        return shape.strongest(seen, values_at(self.near, seen, item) + self._low_pass(counted, rows, items))

    def _low_pass(self, counted: Touches, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """What each product that a visit (m,) touched gives its item (m,): one after the other, for each visit."""
        firsts = first_of_each(rows)  # items of one visit stand together: its products are fetched once for all
        parts = [np.empty(0, np.float32)]
        for first, end in pairwise([*firsts, len(rows)]):
            touched = counted.products[slice(*counted.shape.offsets[rows[first] : rows[first] + 2])]
            parts.append((self.outward[items[first:end]] @ self.inward[touched].T).ravel())
        return np.concatenate(parts)
