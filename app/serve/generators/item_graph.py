"""Item graph: products near those of a user in the graph that users span, blurred and sharpened again.

BSPM (Choi, Hong, Park, Cho, "Blurring-Sharpening Process Models for Collaborative Filtering", SIGIR 2023). Its
operators go from products to products, so that a user of whom training knew nothing is answered as one it knew.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.item_rows import ItemRows, those
from app.serve.ragged import as_int64
from app.serve.sparse import load_rows, save_rows
from app.serve.visits import Visits

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
        return cls(load_rows(folder, "near", len(catalogue)), inward, outward)

    @cached_property
    def _near(self) -> ItemRows:
        return ItemRows.of_matrix(self.near)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        from app.serve import loops

        counted, near = visits.counted, self._near
        return Candidates(
            *loops.best_near(
                counted.shape.offsets, as_int64(counted.products), near.starts, near.ends, near.items,
                near.values, self.inward, self.outward, max(k, NEAREST), k,
            )
        )  # fmt: skip

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product that adds most to the item's score."""
        counted = visits.counted
        alike = np.ones(len(counted.products), np.float32)
        entries = self._near.strongest(counted.shape, counted.products, alike, rows, items, (self.inward, self.outward))
        return those(entries, counted.products)
