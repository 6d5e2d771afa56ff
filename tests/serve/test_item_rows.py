"""What goes with the products of a visit, against the same thing written naively."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.serve import loops
from app.serve.generators.item_graph import ItemGraph
from app.serve.item_rows import ItemRows, those
from app.serve.ragged import NONE, Ragged
from tests.arrays import visits

PRODUCTS = 7
#: In quarters, so that sums are exact, and equal ones are.
MATRICES = st.lists(
    st.lists(st.sampled_from([0.0, 0, -1, 0.25, 0.5, 1, 2]), min_size=PRODUCTS, max_size=PRODUCTS),
    min_size=PRODUCTS,
    max_size=PRODUCTS,
).map(lambda rows: np.array(rows, np.float32))
TOUCHED = st.lists(st.lists(st.integers(0, PRODUCTS - 1), max_size=5), max_size=5)


def flat(lists: list[list[int]]) -> tuple[Ragged, NDArray[np.int64], NDArray[np.float32]]:
    """A shape, and its rows with weights of 1, 2, 3, 1 …"""
    shape = Ragged.of_lengths(np.array([len(one) for one in lists], np.int64))
    rows = np.array([row for one in lists for row in one], np.int64)
    return shape, rows, (1 + np.arange(len(rows)) % 3).astype(np.float32)


def best(scores: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    """The k best above 0, the smaller of equal ones first, and empty places."""
    found = sorted(((-score, item) for item, score in enumerate(scores.tolist()) if score > 0))[:k]
    return [(item, -score) for score, item in found] + [(NONE, 0.0)] * (k - len(found))


@given(MATRICES, TOUCHED, st.integers(1, 9))
@settings(deadline=None)
def test_the_best_sums_of_rows(matrix: NDArray[np.float32], touched: list[list[int]], k: int) -> None:
    shape, rows, weights = flat(touched)
    found = ItemRows.of_matrix(csr_matrix(matrix)).best_sums(shape, rows, weights, k)
    assert found.items.shape == found.scores.shape == (len(touched), k)
    for visit, (first, end) in enumerate(zip(shape.offsets, shape.offsets[1:], strict=False)):
        wanted = best(weights[first:end] @ matrix[rows[first:end]], k)
        assert list(zip(found.items[visit].tolist(), found.scores[visit].tolist(), strict=True)) == wanted


def test_a_table_may_have_empty_places() -> None:
    table = ItemRows.of_table(np.array([[NONE, 2], [NONE, NONE]], np.int32), np.ones((2, 2), np.float32), 3)
    found = table.best_sums(Ragged.of_lengths(np.array([2])), np.array([0, 1]), np.array([3, 1], np.float32), 2)
    assert (found.items.tolist(), found.scores.tolist()) == ([[2, NONE]], [[3, 0]])


def test_what_is_no_number_is_in_no_list() -> None:
    table = ItemRows.of_table(np.array([[0, 1, 2]], np.int32), np.array([[np.nan, np.inf, 1]], np.float32), 3)
    found = table.best_sums(Ragged.of_lengths(np.array([1])), np.array([0]), np.ones(1, np.float32), 3)
    assert found.items.tolist() == [[1, 2, NONE]]


@given(MATRICES, TOUCHED, st.integers(1, 9), st.integers(0, 3))
@settings(deadline=None)
def test_the_item_graph_is_the_sum_of_both_parts(
    matrix: NDArray[np.float32], touched: list[list[int]], k: int, seed: int
) -> None:
    inward, outward = np.random.default_rng(seed).integers(-2, 3, (2, PRODUCTS, 3)).astype(np.float32)
    once = [list(dict.fromkeys(visit)) for visit in touched]
    found = ItemGraph(csr_matrix(matrix), inward, outward).candidates(visits(once), k)
    for visit, rows in enumerate(once):
        near = matrix[rows].sum(axis=0)
        wanted = best(np.where(near > 0, near + inward[rows].sum(axis=0) @ outward.T, 0), k)
        assert list(zip(found.items[visit].tolist(), found.scores[visit].tolist(), strict=True)) == wanted


@given(MATRICES, TOUCHED, st.booleans())
@settings(deadline=None)
def test_the_strongest_row_of_each_item(
    matrix: NDArray[np.float32], touched: list[list[int]], with_factors: bool
) -> None:
    shape, rows, weights = flat(touched)
    left, right = np.random.default_rng(1).integers(-1, 2, (2, PRODUCTS, 2)).astype(np.float32)
    gives = matrix + left @ right.T if with_factors else matrix
    asked, items = np.divmod(np.arange(len(touched) * PRODUCTS), PRODUCTS)
    factors = (left, right) if with_factors else None
    found = ItemRows.of_matrix(csr_matrix(matrix)).strongest(shape, rows, weights, asked, items, factors)
    for visit, item, entry in zip(asked, items, found, strict=True):
        entries = range(shape.offsets[visit], shape.offsets[visit + 1])
        most = max((gives[rows[each], item] * weights[each] for each in entries), default=0)
        wanted = next((each for each in entries if gives[rows[each], item] * weights[each] == most > 0), NONE)
        assert entry == wanted


def test_places_stand_for_products() -> None:
    assert those(np.array([1, NONE, 0]), np.array([7, 9])).tolist() == [9, NONE, 7]


def test_arrays_of_any_kind_are_taken() -> None:
    """Of another width, with gaps, only to be read, and at odd addresses, as Arrow's may be."""
    table = ItemRows.of_matrix(csr_matrix(np.eye(3, dtype=np.float32)))
    odd = np.frombuffer(b"\0" + np.array([2, 1], np.float32).tobytes(), np.float32, offset=1)
    assert not odd.flags.aligned
    assert not odd.flags.writeable
    found = table.best_sums(Ragged(np.array([0, 9, 2, 9])[::2]), np.array([0, 2], np.int32), odd, 2)
    assert found.items.tolist() == [[0, 2]]


def one_loop(folder: Path, before: str = "pass") -> str:
    """Import the first loop in a process of its own; the folder where it is kept."""
    first_loop, _ = Path(loops.__file__).read_text().split("@compiled(INT64S, INT64S, *ROWS", 1)
    (folder / "loops.py").write_text(first_loop)
    told = f"{before}; import loops; print(loops.best_sums.__name__, loops.best_sums.stats.cache_path)"
    env = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "kept")}
    run = subprocess.run([sys.executable, "-c", told], env=env, capture_output=True, text=True)
    assert (run.stdout.split()[:1], run.stderr) == (["best_sums"], "")
    return run.stdout.split()[1]


def test_where_nothing_can_be_kept_loops_are_compiled_all_the_same(tmp_path: Path) -> None:
    nowhere = "from numba.core.caching import CacheImpl as Cache; Cache._locator_classes = []"
    assert one_loop(tmp_path, nowhere) == "None"


def test_what_was_kept_and_is_cut_short_is_compiled_anew(tmp_path: Path) -> None:
    assert one_loop(tmp_path).startswith(str(tmp_path / "kept"))
    kept = [file for file in (tmp_path / "kept").rglob("*.nb*") if file.is_file()]
    assert len(kept) == 2
    for file in kept:
        file.write_bytes(file.read_bytes()[:-100])
    assert one_loop(tmp_path) == "None"


def test_who_answers_nothing_is_spared_the_compiler() -> None:
    told = "import sys, app.cli, app.train.run, app.stream.score; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", told], check=True)
