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
from app.serve.contract import Candidates
from app.serve.ragged import first_of_each
from app.serve.row_products import strongest_of_few
from app.serve.sparse import best_columns, load_rows, save_rows, values_at, visit_rows
from app.serve.visits import Touches, Visits

NEAREST = 150  #: products of a visit that the low-pass part is worked out for: those that are best without it


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
        near = load_rows(folder, "near", len(catalogue), "c")  # as `strongest_of_few` asks for
        return cls(near, inward, outward)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        counted = visits.counted
        asked = visit_rows(counted, np.ones(len(counted.products), np.float32), self.near.shape[0])
        nearest = strongest_of_few(asked, self.near, max(k, NEAREST))
        scores, low_pass = nearest.data, asked @ self.inward
        # Visit by visit, always in the same place: one's rows of `outward` fit a core's cache, not all.
        room = np.empty((np.diff(nearest.indptr).max(initial=0), self.outward.shape[1]), np.float32)
        for inward, (start, end) in zip(low_pass, pairwise(nearest.indptr.tolist()), strict=True):
            # Without "clip" numpy would fill a copy of the room first.
            theirs = self.outward.take(nearest.indices[start:end], axis=0, out=room[: end - start], mode="clip")
            scores[start:end] += theirs @ inward
        return best_columns(nearest, k)

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
