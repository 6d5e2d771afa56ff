"""A linear model of products from products, one small system for each in place of one inverse of all.

Row i of (G + λI)⁻¹ C is wanted. Of G and C it uses the part between product i and its strongest neighbours, so
that a catalogue of any size is a row at a time.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, vstack

from app.learn.row_batches import Work, by_workers
from app.serve.ragged import NONE, Ragged
from app.serve.sparse import load_rows, save_rows, strongest_per_row


def local_ridge(
    spark: SparkSession, gram: csr_matrix, shared: csr_matrix, ridge: float, neighbours: int, folder: Path
) -> csr_matrix:
    """The rows of (gram + ridge · I)⁻¹ · shared, each from the product's neighbourhood, without what is negative.

    Parameters
    ----------
    spark
        Whose workers share the systems out.
    gram, shared
        (p, p), symmetric.
    ridge
        λ.
    neighbours
        Products of a system beside the product itself: those that it shares most with.
    folder
        On a disk that driver and executors share.

    Returns
    -------
    csr_matrix
        (p, p).
    """
    for name, matrix in (("gram", gram), ("shared", shared), ("near", _neighbours(shared, neighbours))):
        save_rows(folder, name, matrix)
    return by_workers(spark, gram.shape[0], _solver(folder, gram.shape[0], ridge), folder / "similarities")


def _neighbours(shared: csr_matrix, n: int) -> csr_matrix:
    """The strongest others of each product."""
    others = csr_matrix(shared, copy=True)
    others.setdiag(0)
    return strongest_per_row(others, n)


def _solver(folder: Path, n: int, ridge: float) -> Work:
    def solve(rows: NDArray[np.int64]) -> csr_matrix:
        gram, shared, near = (load_rows(folder, name, n) for name in ("gram", "shared", "near"))
        solved = []
        for row in rows:
            members = np.append(near.indices[near.indptr[row] : near.indptr[row + 1]], np.int32(row))
            solution = _solve_last(_block(gram, members), _block(shared, members), ridge)
            kept = solution > 0
            solved.append(csr_matrix((solution[kept], members[kept], [0, int(kept.sum())]), shape=(1, n)))
        return csr_matrix(vstack(solved))

    return solve


def _block(matrix: csr_matrix, members: NDArray[np.int32]) -> NDArray[np.float64]:
    """The values (m, m) between the members, which need not be sorted."""
    shape, entries = Ragged(matrix.indptr).take(members)
    place = np.full(matrix.shape[1], NONE, np.int32)
    place[members] = np.arange(len(members), dtype=np.int32)
    column = place[matrix.indices[entries]]
    inside = column != NONE
    block = np.zeros((len(members), len(members)))
    block[shape.rows()[inside], column[inside]] = matrix.data[entries[inside]]
    return block


def _solve_last(gram: NDArray[np.float64], shared: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """The last row (m,) of (gram + ridge · I)⁻¹ · shared, gram being symmetric."""
    unit = np.zeros(len(gram))
    unit[-1] = 1.0
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), unit) @ shared
