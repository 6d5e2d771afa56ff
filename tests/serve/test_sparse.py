"""Sparse matrices of products by products: cuts, files."""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from app.serve.sparse import (
    best_columns,
    canonical_rows,
    load_rows,
    save_rows,
    strongest_per_row,
)

MATRIX = canonical_rows(csr_matrix(np.array([[3.0, 0, 1, 2], [0, 0, 0, 0], [1, -4, 1, 2], [-1, 0, 0, 0]])))


def test_the_strongest_of_a_row_are_its_largest_above_0() -> None:
    expected = [[3, 0, 0, 2], [0, 0, 0, 0], [1, 0, 0, 2], [0, 0, 0, 0]]  # of the equal ones the smaller column
    assert strongest_per_row(MATRIX, 2).toarray().tolist() == expected


def test_the_best_columns_come_first() -> None:
    best = best_columns(MATRIX, 3)
    assert best.items.tolist() == [[0, 3, 2], [-1, -1, -1], [3, 0, 2], [-1, -1, -1]]
    assert best.scores.tolist() == [[3, 2, 1], [0, 0, 0], [2, 1, 1], [0, 0, 0]]


def test_a_saved_matrix_stays_where_it_lies(tmp_path: Path) -> None:
    save_rows(tmp_path, "matrix", MATRIX)
    opened = load_rows(tmp_path, "matrix", 4)
    assert not opened.data.flags.owndata, "mapped, not read"
    assert not opened.indices.flags.owndata
    assert opened.toarray().tolist() == MATRIX.toarray().tolist()
