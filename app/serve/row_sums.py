"""What generators share that know, of each product, those that go with it, as a sparse row."""

from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.item_rows import ItemRows, those
from app.serve.sparse import load_rows, save_rows
from app.serve.visits import Touches, Visits


class RowSums:
    """A visit's scores are the rows of its touched products, added up, each less for those touched after it.

    `rows` (p, p) sparse: what goes with each product. `decay`: a product with n touched after it counts
    exp(-n / decay).
    """

    def __init__(self, rows: csr_matrix, decay: float):
        self.rows, self.decay = rows, decay

    def save(self, folder: Path) -> None:
        save_rows(folder, "rows", self.rows)
        np.save(folder / "decay.npy", np.array(self.decay))

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        return cls(load_rows(folder, "rows", len(catalogue)), float(np.load(folder / "decay.npy")))

    @cached_property
    def _listed(self) -> ItemRows:
        return ItemRows.of_matrix(self.rows)

    def candidates(self, visits: Visits, k: int) -> Candidates:
        counted, weights = self._counted(visits)
        return self._listed.best_sums(counted.shape, counted.products, weights, k)

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product whose row adds most to the item's score."""
        counted, weights = self._counted(visits)
        entries = self._listed.strongest(counted.shape, counted.products, weights, rows, items)
        return those(entries, counted.products)

    def _counted(self, visits: Visits) -> tuple[Touches, NDArray[np.float32]]:
        """The products that count in each visit, and how much."""
        counted = visits.counted
        return counted, np.exp(-counted.shape.ages() / self.decay).astype(np.float32)
