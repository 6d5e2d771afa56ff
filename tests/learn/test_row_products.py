"""Products of sparse matrices, cut row by row."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from app.learn.row_products import strongest_of_product
from app.serve.sparse import canonical_rows, load_rows, save_rows


def matrix(rows: list[list[float]]) -> csr_matrix:
    return canonical_rows(csr_matrix(np.array(rows)))


def test_a_row_keeps_its_largest_values_above_0() -> None:
    left, right = matrix([[1, 2], [0, 0], [0, -1]]), matrix([[1, 5, 0, -9], [1, 0, 2, 1]])
    # By hand: (3, 5, 4, -7), nothing, (-1, 0, -2, -1).
    found = strongest_of_product(left, right, 2)
    assert found.toarray().tolist() == [[0, 5, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.has_canonical_format


def test_with_room_for_all_it_is_the_product(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    left, right = (rng.random(shape) * (rng.random(shape) < 0.3) for shape in ((9, 7), (7, 12)))
    save_rows(tmp_path, "right", csr_matrix(right))
    found = strongest_of_product(matrix(left.tolist()), load_rows(tmp_path, "right", 12, "c"), 12)
    np.testing.assert_allclose(found.toarray(), left @ right, rtol=1e-6)


def test_nothing_times_nothing() -> None:
    assert strongest_of_product(matrix([[0, 0]]), matrix([[1, 1], [1, 1]]), 3).toarray().tolist() == [[0, 0]]


def test_where_nobody_knows_the_number_of_cores() -> None:
    told = "import psutil; psutil.cpu_count = lambda logical=True: None; import app.learn.row_products"
    subprocess.run([sys.executable, "-c", told], check=True)
