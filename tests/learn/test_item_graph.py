"""The item graph against the paper's formula, written densely: nothing is cut in these, so that all must agree."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix

from app.core.duck import connect
from app.core.settings import Settings
from app.learn.item_graph import Graph, filtered, first_eigenvectors, fit_item_graph, user_products
from app.learn.part_rows import PartRows, save_part
from tests.arrays import visits
from tests.handmade import relation
from tests.learn.tables import random_sessions, session_tables

FACTORS, LOW_PASS, SHARPNESS = 3, 0.3, 1.5
SETTINGS = Settings(item_graph_factors=FACTORS, item_graph_low_pass=LOW_PASS, item_graph_sharpness=SHARPNESS)


def bspm(rows: NDArray, users: NDArray, factors: int) -> NDArray:
    """BSPM's scores (n, p) of users' rows (n, p), step by step as in the paper, from the training's users (u, p)."""
    graph, low_pass = _graph_and_low_pass(rows, users, factors)
    return _sharpened(rows @ graph + low_pass, graph)


def held_beyond(rows: NDArray, users: NDArray) -> NDArray:
    """The same, but beyond the first eigenvalues the sharpening of r P is held at what it is at the last of them, and
    that of the low pass is a straight line from there to 0."""
    graph, low_pass = _graph_and_low_pass(rows, users, FACTORS)
    values, vectors = np.linalg.eigh(graph)
    last = values[-FACTORS]
    line = np.where(values >= last, _sharpening(values), 1 + (_sharpening(last) - 1) * values / last)
    held = values * _sharpening(np.maximum(values, last))
    return rows @ (vectors * held) @ vectors.T + low_pass @ (vectors * line) @ vectors.T


def _sharpening(values: NDArray) -> NDArray:
    return np.sum([(-SHARPNESS * values) ** power / math.factorial(power) for power in range(5)], axis=0)


def _graph_and_low_pass(rows: NDArray, users: NDArray, factors: int) -> tuple[NDArray, NDArray]:
    degrees = users.sum(axis=0)
    scaled = users / np.sqrt(users.sum(axis=1, keepdims=True)) / np.sqrt(degrees)
    first = np.linalg.svd(scaled)[2][:factors].T
    return scaled.T @ scaled, LOW_PASS * (rows / np.sqrt(degrees) @ first @ first.T * np.sqrt(degrees))


def _sharpened(blurred: NDArray, graph: NDArray) -> NDArray:
    term, sharp = blurred, blurred
    for power in (1, 2, 3, 4):
        term = -SHARPNESS / power * term @ graph
        sharp = sharp + term
    return sharp


def as_rows(lists: list[list[int]], n: int) -> NDArray:
    return np.array([[float(item in row) for item in range(n)] for row in lists])


def test_with_all_eigenvectors_it_is_the_formula_of_the_paper(spark: SparkSession, tmp_path: Path) -> None:
    users = [*random_sessions(np.random.default_rng(5), 40, 12, 6), list(range(12))]
    model = fit_item_graph(
        session_tables(spark, tmp_path, users, 12), SETTINGS.model_copy(update={"item_graph_factors": 12})
    )
    answer = model.candidates(visits([[2, 9, 4]]), 12)
    expected = bspm(as_rows([[2, 9, 4]], 12), as_rows(users, 12), 12)[0]
    there = answer.items[0] >= 0
    np.testing.assert_allclose(answer.scores[0][there], expected[answer.items[0][there]], rtol=1e-4, atol=1e-5)
    assert there.sum() == (expected > 1e-5).sum()


@pytest.fixture
def some_graph(tmp_path: Path) -> tuple[Graph, NDArray]:
    """300 users' A in two parts, 120 products, and AᵀA."""
    users = random_sessions(np.random.default_rng(6), 300, 120, 9)
    rows = as_rows(users, 120) / np.sqrt([[len(user)] for user in users])
    for part, some in enumerate((rows[:200], rows[200:])):
        (tmp_path / str(part)).mkdir()
        save_part(csr_matrix(some.astype(np.float32)), tmp_path / str(part))
    return Graph(PartRows.joined(tmp_path, 2, 120), np.ones((120, 1), np.float32)), rows.T @ rows


def test_subspaces_come_to_the_eigenvectors(some_graph: tuple[Graph, NDArray]) -> None:
    graph, whole = some_graph
    values, vectors = first_eigenvectors(graph, 5, seed=1)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(whole)[::-1][:5], rtol=1e-3)
    np.testing.assert_allclose(whole @ vectors, vectors * values, atol=0.02 * values[0])


def test_the_filter_is_a_chebyshev_polynomial(some_graph: tuple[Graph, NDArray]) -> None:
    """T₃(x) = 4x³ - 3x, which is at most 1 from -1 to 1, there being 0 and the smallest eigenvalue in the basis."""
    graph, whole = some_graph
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((120, 20)))[0]
    x = 2 * whole / np.linalg.eigvalsh(basis.T @ whole @ basis)[0] - np.eye(120)
    expected = (4 * x @ x @ x - 3 * x) @ basis
    found = filtered(graph, basis.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_shop_that_nobody_rated_in_has_no_eigenvectors(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    save_part(csr_matrix((0, 100), dtype=np.float32), tmp_path / "0")
    values, vectors = first_eigenvectors(Graph(PartRows.joined(tmp_path, 1, 100), np.ones((100, 1), np.float32)), 5, 1)
    assert values.tolist() == [0] * 5
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_spark_learns_the_dense_formula_and_folds_in(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """A user whom training knew and one whom it never saw are answered by one formula."""
    rng = np.random.default_rng(seed)
    users, n = [*random_sessions(rng, 40, 12, 6), list(range(12))], 12  # so that every product has a user
    model = fit_item_graph(session_tables(spark, tmp_path, users, n), SETTINGS)
    asked = [users[0], users[1], [2, 9]]
    expected = held_beyond(as_rows(asked, n), as_rows(users, n))
    answer = model.candidates(visits(asked, users=[0, -1, -1], fresh=[False, True, True]), n)
    for row, items, scores in zip(expected, answer.items, answer.scores, strict=True):
        there = items >= 0
        np.testing.assert_allclose(scores[there], row[items[there]], rtol=1e-4, atol=1e-5)
        assert set(items[there].tolist()) == set(np.flatnonzero(row > 1e-5).tolist())
    known = model.candidates(visits([users[0]], users=[0], fresh=False), n)
    unknown = model.candidates(visits([users[0]]), n)
    assert known.items.tolist() == unknown.items.tolist()
    assert known.scores.tolist() == unknown.scores.tolist()


def test_a_reason_is_what_adds_most(spark: SparkSession, tmp_path: Path) -> None:
    users = [*random_sessions(np.random.default_rng(3), 40, 8, 5), list(range(8))]
    model = fit_item_graph(session_tables(spark, tmp_path, users, 8), SETTINGS)
    each = held_beyond(np.eye(8)[[6, 2]], as_rows(users, 8))
    expected = np.where(each.max(axis=0) > 0, np.array([6, 2])[each.argmax(axis=0)], -1)
    found = model.because(visits([[6, 2]]), np.zeros(8, np.int64), np.arange(8, dtype=np.int32))
    assert found.tolist() == expected.tolist()


def test_what_may_not_be_recommended_is_not_proposed(spark: SparkSession, tmp_path: Path) -> None:
    users = random_sessions(np.random.default_rng(4), 40, 8, 5)
    some = session_tables(spark, tmp_path, users, 8, available=np.arange(8) != 3)
    model = fit_item_graph(some, SETTINGS)
    assert np.diff(model.near.indptr).tolist() == [7] * 8, "all the others"
    assert 3 not in model.candidates(visits([[3, 1], [0]]), 8).items


def test_of_a_crawler_the_best_rated_products_count(tmp_path: Path) -> None:
    rated = [(1, 10, 1.0), (1, 11, 5.0), (1, 12, 3.0), (2, 12, 1.0)]
    with connect(tmp_path) as connection:
        rows = relation(connection, rated, "user_id bigint, product_id bigint, rating double")
        found = user_products(rows, 2).select("product_ids, values").fetchall()
    assert found == [([11, 12], pytest.approx([0.5**0.5] * 2)), ([12], [1.0])]
