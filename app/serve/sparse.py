"""Sparse matrices of products by products: memory-mapped, and cut to their best columns.

Everywhere they are canonical: float32, each row sorted by column, no column twice.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from app.serve.arrays import mapped
from app.serve.contract import Candidates, best_per_row
from app.serve.ragged import NONE, Ragged


def save_rows(folder: Path, name: str, matrix: csr_matrix) -> None:
    """Write a matrix, made canonical, as three arrays that `load_rows` opens."""
    matrix = canonical_rows(matrix)
    np.save(folder / f"{name}_offsets.npy", matrix.indptr.astype(np.int64))
    np.save(folder / f"{name}_items.npy", matrix.indices.astype(np.int32))
    np.save(folder / f"{name}_values.npy", matrix.data.astype(np.float32))


def load_rows(folder: Path, name: str, columns: int, mode: Literal["r", "c"] = "r") -> csr_matrix:
    """Open what `save_rows` wrote, without reading it, in a mode of `app.serve.arrays.mapped`."""
    offsets, items, values = (mapped(folder / f"{name}_{part}.npy", mode) for part in ("offsets", "items", "values"))
    matrix = csr_matrix((values, items, offsets), shape=(len(offsets) - 1, columns))
    matrix.has_canonical_format = True  # as it was saved; else the first look-up would read it all
    return matrix


def canonical_rows(matrix: csr_matrix) -> csr_matrix:
    """The same matrix, canonical and without stored zeros."""
    rows = csr_matrix(matrix, dtype=np.float32, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def strongest_per_row(matrix: csr_matrix, n: int) -> csr_matrix:
    """The matrix with each row cut to its n largest values above 0; of equal ones the smaller columns stay."""
    best = best_columns(matrix, n)
    there = best.items != NONE
    offsets = Ragged.of_lengths(there.sum(axis=1)).offsets
    return canonical_rows(csr_matrix((best.scores[there], best.items[there], offsets), shape=matrix.shape))


def only_columns(matrix: csr_matrix, kept: NDArray[np.bool_] | None) -> csr_matrix:
    """The matrix without the columns that are not kept (p,); None keeps all."""
    return matrix if kept is None else scaled_columns(matrix, kept.astype(np.float32))


def scaled_columns(matrix: csr_matrix, factors: NDArray[np.float32]) -> csr_matrix:
    """The matrix with each column times its factor (p,)."""
    return csr_matrix(matrix @ diags(factors))


def best_columns(scores: csr_matrix, k: int) -> Candidates:
    """The k columns of each row that score best, of those above 0."""
    above = scores.data > 0
    shape = Ragged(scores.indptr.astype(np.int64)).keep(above)
    items, values = scores.indices[above].astype(np.int64), scores.data[above].astype(np.float32)
    return best_per_row(shape.rows(), items, values, len(shape), k)
