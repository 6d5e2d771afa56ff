"""Users or sessions by products, as sparse matrices on the disk, one for each part of a table.

What co-visitation and the item graph learn of pairs of products are sums over these rows: AᵀA, which workers take a
block of products at a time. That is a tenth of the work of joining the rows with themselves, and nothing is shuffled.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, hstack

from app.core.duck import Relation
from app.core.parts import Part, by_part
from app.serve.arrays import mapped
from app.serve.catalogue import positions
from app.serve.ragged import Ragged

_ARRAYS = ("data", "indices", "indptr")
_ROWS, _COLUMNS = "rows", "columns"  #: a part is stored both ways
_PRODUCTS = "products.npy"


@dataclass(frozen=True)
class PartRows:
    """A (n, p), in a folder that driver and executors share: whole, and the columns of each of its `parts`."""

    folder: Path
    parts: int
    products: int

    @classmethod
    def write(
        cls,
        spark: SparkSession,
        parts: int,
        rows: Callable[[Part], Relation],
        product_ids: NDArray[np.int64],
        folder: Path,
    ) -> "PartRows":
        """Write the matrices.

        Parameters
        ----------
        spark
            Whose tasks write a part each.
        parts
            How many there are.
        rows
            Of a part: product_ids (array of long) and values (array of float or double) for each row of A.
        product_ids
            (p,), sorted: a product's place in it is its column.
        folder
            Where; it is made.
        """
        folder.mkdir()
        np.save(folder / _PRODUCTS, product_ids)

        def work(part: Part) -> None:
            matrix = _matrix(rows(part), np.load(folder / _PRODUCTS))
            publish_part(folder / str(part.number), lambda aside: save_part(matrix, aside))

        by_part(spark, parts, work, folder)
        return cls.joined(folder, parts, len(product_ids))

    @classmethod
    def joined(cls, folder: Path, parts: int, products: int) -> "PartRows":
        """From the parts that `save_part` wrote into the folders 0, 1, … of a folder: their rows, one after another."""
        each = [_load(folder / str(part), _ROWS, products) for part in range(parts)]
        starts = np.cumsum([0] + [rows.nnz for rows in each])
        offsets = [rows.indptr[1:] + start for rows, start in zip(each, starts[:-1], strict=True)]
        kind = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64  # else scipy copies it to its liking
        np.save(folder / f"{_ROWS}_indptr.npy", np.concatenate([[0], *offsets]).astype(kind))
        for name, dtype in (("data", np.result_type(*(rows.dtype for rows in each))), ("indices", kind)):
            file, size = folder / f"{_ROWS}_{name}.npy", (int(starts[-1]),)
            whole = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=size)  # not in the driver's memory
            for start, rows in zip(starts[:-1], each, strict=True):
                whole[start : start + rows.nnz] = getattr(rows, name)
            whole.flush()
        return cls(folder, parts, products)

    def rows(self) -> csr_matrix:
        """A, memory-mapped."""
        return _load(self.folder, _ROWS, self.products)

    def columns(self, products: NDArray[np.int64]) -> csr_matrix:
        """The columns of A, as rows (m, n), of some products (m,), given by position."""
        parts = [self.folder / str(part) for part in range(self.parts)]
        return csr_matrix(hstack([_load(part, _COLUMNS, _height(part))[products] for part in parts]))

    def common(self, products: NDArray[np.int64]) -> csr_matrix:
        """The rows of AᵀA (m, p) that belong to some products (m,), given by position."""
        return csr_matrix(self.columns(products) @ self.rows())

    def squares(self) -> NDArray[np.float64]:
        """The diagonal of AᵀA (p,)."""
        rows = self.rows()
        return np.bincount(rows.indices, rows.data.astype(np.float64) ** 2, self.products).astype(np.float64)

    def counts(self) -> NDArray[np.int64]:
        """How many rows have each product (p,)."""
        return np.bincount(self.rows().indices, minlength=self.products)


def _matrix(rows: Relation, product_ids: NDArray[np.int64]) -> csr_matrix:
    table: pa.Table = rows.select("product_ids, values").to_arrow_table()
    lists, values = (table[name].combine_chunks() for name in ("product_ids", "values"))
    shape, items = Ragged.of_lists(lists), positions(product_ids, lists.flatten().to_numpy())
    return csr_matrix((values.flatten().to_numpy(), items, shape.offsets), shape=(len(shape), len(product_ids)))


def save_part(matrix: csr_matrix, folder: Path) -> None:
    """Write a part (n of the part, p) into its folder."""
    for side, one in ((_ROWS, matrix), (_COLUMNS, csr_matrix(matrix.T))):
        for name in _ARRAYS:
            np.save(folder / f"{side}_{name}.npy", getattr(one, name))


def publish_part(target: Path, write: Callable[[Path], None]) -> None:
    """Make the folder of a part, whole or not at all, though its task may run twice."""
    aside = target.with_name(f".{uuid4().hex}")
    aside.mkdir()
    write(aside)
    try:
        aside.rename(target)
    except OSError as error:
        if error.errno not in (EEXIST, ENOTEMPTY):
            raise
        shutil.rmtree(aside)  # another attempt of the same task was first, and wrote the same


def _height(folder: Path) -> int:
    return len(mapped(folder / f"{_ROWS}_indptr.npy")) - 1


def _load(folder: Path, side: str, width: int) -> csr_matrix:
    data, indices, offsets = (mapped(folder / f"{side}_{name}.npy") for name in _ARRAYS)
    return csr_matrix((data, indices, offsets), shape=(len(offsets) - 1, width))
