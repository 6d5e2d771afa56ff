"""Products that go with each row, with values: a sparse matrix, or a table, as loops read it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.serve.contract import Candidates
from app.serve.ragged import NONE, Ints, Ragged, as_int64


@dataclass(frozen=True)
class ItemRows:
    """Row r lists `items[starts[r]:ends[r]]` (int32, `NONE` where there is none) with their `values` (float32).

    `products`: how many there are; items are below it. `ascending`: whether each row lists its items so.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    products: int
    ascending: bool

    @classmethod
    def of_matrix(cls, matrix: csr_matrix) -> "ItemRows":
        """The rows of a canonical matrix."""
        offsets = matrix.indptr.astype(np.int64, copy=False)
        items, values = matrix.indices.astype(np.int32, copy=False), matrix.data.astype(np.float32, copy=False)
        return cls(offsets[:-1], offsets[1:], items, values, matrix.shape[1], True)

    @classmethod
    def of_table(cls, items: NDArray[np.int32], values: NDArray[np.float32], products: int) -> "ItemRows":
        """The rows of a table (r, w) of products, `NONE` where there are no more, and one of values."""
        starts = np.arange(len(items), dtype=np.int64) * items.shape[1]
        return cls(starts, starts + items.shape[1], items.ravel(), values.ravel(), products, False)

    @classmethod
    def empty(cls, rows: int, products: int) -> "ItemRows":
        """Rows without products."""
        nowhere = np.zeros(rows, np.int64)
        return cls(nowhere, nowhere, np.empty(0, np.int32), np.empty(0, np.float32), products, True)

    def best_sums(self, shape: Ragged, rows: Ints, weights: NDArray[np.float32], k: int) -> Candidates:
        """The k products whose values, times the weights (m,) of the rows (m,) that each visit has, add up to most.

        None whose sum is not above 0; ties go to the smaller product.
        """
        from app.serve import loops

        return Candidates(
            *loops.best_sums(
                shape.offsets, as_int64(rows), weights, self.starts, self.ends, self.items, self.values,
                self.products, k,
            )
        )  # fmt: skip

    def strongest(
        self,
        shape: Ragged,
        rows: Ints,
        weights: NDArray[np.float32],
        visits: Ints,
        items: Ints,
        factors: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    ) -> NDArray[np.int64]:
        """Which of the rows (m,) of its visit (w,) gives each item (w,) most: its place, `NONE` if none gives anything.

        Parameters
        ----------
        factors
            Of rows (r, f) and of products (p, f), whose product is added to the value.
        """
        from app.serve import loops

        left, right = factors or (np.empty((len(self.starts), 0), np.float32), np.empty((self.products, 0), np.float32))
        return loops.strongest(
            shape.offsets, as_int64(rows), weights, as_int64(visits), as_int64(items),
            self.starts, self.ends, self.items, self.values, self.ascending, left, right,
        )  # fmt: skip


def those(entries: NDArray[np.int64], products: Ints) -> NDArray[np.int32]:
    """The products at these places (w,); `NONE` where there is no place."""
    found = np.full(len(entries), NONE, np.int32)
    there = entries != NONE
    found[there] = products[entries[there]]
    return found
