"""A linear model of products from products, one small system for each in place of one inverse of all.

Row i of (G + λI)⁻¹ C is wanted. Of G it uses the part between product i and its strongest neighbours, so that a
catalogue of any size is a row at a time.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.linalg.lapack import dposv
from scipy.sparse import csr_matrix

from app.learn.row_batches import CUT, Rows, Work, by_workers
from app.learn.row_products import strongest_of_product
from app.serve.ragged import NONE, Ragged
from app.serve.sparse import load_rows, save_rows, strongest_per_row


def local_ridge(
    spark: SparkSession, gram: csr_matrix, shared: csr_matrix, ridge: float, neighbours: int, folder: Path
) -> csr_matrix:
    """The rows of (gram + ridge · I)⁻¹ · shared, each from the product's neighbourhood, cut to its largest values.

    Parameters
    ----------
    spark
        Whose workers share the systems out.
    gram, shared
        (p, p), symmetric, but that a pair may be left out of one of its two rows.
    ridge
        λ.
    neighbours
        Products of a system beside the product itself, those that it shares most with; and of a row of the result.
    folder
        On a disk that driver and executors share.

    Returns
    -------
    csr_matrix
        (p, p), nothing negative.
    """
    for name, matrix in (("gram", gram), ("shared", shared)):
        save_rows(folder, name, matrix)
    work = _solver(folder, gram.shape[0], ridge, neighbours)
    return by_workers(spark, gram.shape[0], work, folder / "similarities", chunk=CUT)


def _neighbours(shared: csr_matrix, rows: NDArray[np.int64], n: int) -> csr_matrix:
    """The strongest others (m, p) of some products (m,)."""
    others = csr_matrix(shared[rows])
    others.data[others.indices == np.repeat(rows, np.diff(others.indptr))] = 0
    return strongest_per_row(others, n)


def _solver(folder: Path, n: int, ridge: float, neighbours: int) -> Work:
    def work() -> Rows:
        gram, shared = (load_rows(folder, name, n, "c") for name in ("gram", "shared"))
        place = np.full(n, NONE, np.int32)

        def solve(rows: NDArray[np.int64]) -> csr_matrix:
            near = _neighbours(shared, rows, neighbours)
            others = np.split(near.indices, near.indptr[1:-1])
            members = [np.append(one, np.int32(row)) for one, row in zip(others, rows, strict=True)]
            solutions = [_last_row(_block(gram, system, place), ridge) for system in members]
            offsets = Ragged.of_lengths(np.array([len(system) for system in members])).offsets
            inverse = (np.concatenate(solutions).astype(np.float32), np.concatenate(members), offsets)
            return strongest_of_product(csr_matrix(inverse, (len(rows), n)), shared, neighbours + 1)

        return solve

    return work


def _block(matrix: csr_matrix, members: NDArray[np.int32], place: NDArray[np.int32]) -> NDArray[np.float64]:
    """The values (m, m) between the members, which need not be sorted. `place` (p,) is `NONE` everywhere."""
    m = len(members)
    starts = matrix.indptr[members]
    lengths = matrix.indptr[members + 1] - starts
    entries = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum(), dtype=starts.dtype)
    place[members] = np.arange(m, dtype=np.int32)
    column = place.take(matrix.indices.take(entries))
    place[members] = NONE
    inside = np.flatnonzero(column != NONE)
    row = np.repeat(np.arange(m), lengths).take(inside)
    block = np.zeros((m, m))
    block[row, column.take(inside)] = matrix.data.take(entries.take(inside))
    return np.maximum(block, block.T)  # of a pair that is left out of one row the other has it


def _last_row(gram: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """The last row (m,) of (gram + ridge · I)⁻¹, gram being symmetric; it is overwritten."""
    unit = np.zeros(len(gram))
    unit[-1] = 1.0
    gram.flat[:: len(gram) + 1] += ridge
    _, solution, failed = dposv(gram, unit)
    # Weak pairs being left out, a matrix may not be positive definite where the ridge is small.
    return np.asarray(np.linalg.solve(gram, unit) if failed else solution)
