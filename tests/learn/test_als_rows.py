"""ALS by blocks of rows: the library's factors, but for their last digits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu._als import least_squares_cg
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix, random
from threadpoolctl import threadpool_limits

from app.learn import als_rows
from app.learn.als_rows import BlockwiseALS, block_starts, solve_rows


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1, "blas"):
        yield


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 9), st.floats(0, 1), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_rows_are_improved_as_by_the_library(
    users: int, items: int, density: float, factors: int, seed: int, disliked: bool
) -> None:
    """Also rows without entries, which have no factors, and pairs that are told to be disliked.

    With much regularization: with little, single precision itself leaves little of some rows, in the library as well.
    """
    dice = np.random.default_rng(seed)
    rows = random(users, items, density, "csr", "f", seed)
    signs = dice.choice([-1, 1], rows.nnz) if disliked else 1
    rows.data = (dice.integers(1, 40, rows.nnz) * signs).astype(np.float32)
    others = dice.normal(size=(items, factors)).astype(np.float32)
    before = dice.normal(size=(users, factors)).astype(np.float32)
    expected, found = before.copy(), before.copy()
    least_squares_cg(rows, expected, others, 20.0, num_threads=1, cg_steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(als_rows, "MOST_ROWS", 4)
        patch.setattr(als_rows, "MOST_ENTRIES", 10)
        solve_rows(rows, found, others, 20.0, 3)
    assert np.abs(found - expected).max() <= 1e-3 * max(np.abs(expected).max(), 1)


def test_a_fit_is_the_librarys() -> None:
    matrix = random(400, 90, 0.05, "csr", "f", 3)
    parameters = {"factors": 8, "iterations": 6, "alpha": 20.0, "random_state": 1}
    library, blockwise = AlternatingLeastSquares(num_threads=1, **parameters), BlockwiseALS(**parameters)
    for model in (library, blockwise):
        model.fit(matrix, show_progress=False)
    np.testing.assert_allclose(blockwise.user_factors, library.user_factors, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(blockwise.item_factors, library.item_factors, rtol=1e-3, atol=1e-4)


def test_blocks_hold_few_rows_and_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(als_rows, "MOST_ROWS", 3)
    monkeypatch.setattr(als_rows, "MOST_ENTRIES", 10)
    counts = [4, 4, 4, 0, 0, 0, 0, 30, 10, 1, 1]  # one row alone has more
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    assert block_starts(indptr).tolist() == [0, 2, 5, 7, 8, 9, 11]
    assert block_starts(np.array([0], np.int32)).tolist() == [0]


def test_an_empty_matrix_has_no_factors() -> None:
    factors = np.ones((3, 2), np.float32)
    solve_rows(csr_matrix((3, 4), dtype=np.float32), factors, np.ones((4, 2), np.float32), 0.1, 3)
    assert not factors.any()
