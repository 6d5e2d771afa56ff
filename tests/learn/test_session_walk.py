"""The session walk against the papers' formulas, written densely.

Every two products share a session in these, so that nothing is cut, and all must agree.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix

from app.core.settings import Settings
from app.learn.session_sums import SECONDS_PER_DAY, SessionSums, session_sums
from app.learn.session_walk import SHRINKAGE, fit_session_walk, trends_of
from app.learn.walks import STEPS, walks
from app.serve.sparse import canonical_rows
from tests.arrays import visits
from tests.learn.tables import random_sessions, session_tables

RIDGE, DAYS, GAP, ALIKE, ONWARD, RECENT, TREND = 2.0, 3.0, 0.7, 0.8, 0.4, 0.25, 0.6
SETTINGS = Settings(
    session_walk_ridge=RIDGE,
    session_walk_days=DAYS,
    session_walk_gap=GAP,
    session_walk_alike=ALIKE,
    session_walk_onward=ONWARD,
    session_walk_recent=RECENT,
    session_walk_trend=TREND,
)


def ridge_regression(inputs: NDArray, targets: NDArray, weights: NDArray) -> NDArray:
    """(ZᵀWZ + λI)⁻¹ ZᵀWY, without what is negative."""
    gram = inputs.T @ (weights[:, None] * inputs)
    return np.maximum(np.linalg.inv(gram + RIDGE * np.eye(len(gram))) @ inputs.T @ (weights[:, None] * targets), 0)


def similarity_model(sessions: list[list[int]], weights: NDArray, n: int) -> NDArray:
    """Sessions from themselves: SLIST's first model."""
    whole = np.array([[float(item in session) for item in range(n)] for session in sessions])
    return ridge_regression(whole / whole.sum(axis=1, keepdims=True), whole, weights)


def transition_model(sessions: list[list[int]], weights: NDArray, n: int) -> NDArray:
    """What comes after, from the product before alone: SLIST's second model, with the last product as its input."""
    inputs, targets, counts = [], [], []
    for session, weight in zip(sessions, weights, strict=True):
        for place, item in enumerate(session[:-1]):
            inputs.append(np.eye(n)[item])
            targets.append(sum(np.exp(-gap / GAP) * np.eye(n)[x] for gap, x in enumerate(session[place + 1 :])))
            counts.append(weight)
    return ridge_regression(np.array(inputs), np.array(targets), np.array(counts))


def scaled(matrix: NDArray) -> NDArray:
    totals = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)


def dense_walks(sessions: list[list[int]], weights: NDArray, n: int) -> NDArray:
    restarts = ALIKE * scaled(similarity_model(sessions, weights, n)) + (1 - ALIKE) * np.eye(n)
    transitions = scaled(transition_model(sessions, weights, n))
    ends = np.eye(n)
    for _ in range(STEPS):
        ends = ONWARD * ends @ transitions + (1 - ONWARD) * restarts
    return ends


def trends(sessions: list[list[int]], weights: NDArray, ended: NDArray, n: int) -> NDArray:
    """What each product's scores are multiplied by, from the sessions of the last quarter of the log."""
    whole = weights[:, None] * np.array([[float(item in session) for item in range(n)] for session in sessions])
    lately = whole[ended >= ended.max() - RECENT * np.ptp(ended)]
    expected = whole.sum(axis=0) * lately.sum() / whole.sum()
    return ((lately.sum(axis=0) + SHRINKAGE) / (expected + SHRINKAGE)) ** TREND


def test_a_toy_by_hand(spark: SparkSession, tmp_path: Path) -> None:
    """Three sessions without times, 0 → 1, 1 → 2 and 0 → 2.

    X̃ᵀX̃ has 1/4 for each shared session, X̃ᵀX 1/2. Of 0 → 1, one of two transitions, there is 1 / (2 + λ).
    """
    sessions = [[0, 1], [1, 2], [0, 2]]
    gram = np.array([[2, 1, 1], [1, 2, 1], [1, 1, 2]]) / 4
    alike = np.linalg.inv(gram + RIDGE * np.eye(3)) @ (2 * gram)
    np.testing.assert_allclose(similarity_model(sessions, np.ones(3), 3), np.maximum(alike, 0))
    follows = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]]) / np.array([[2 + RIDGE], [1 + RIDGE], [1]])
    np.testing.assert_allclose(transition_model(sessions, np.ones(3), 3), follows)
    found = fit_session_walk(session_tables(spark, tmp_path, sessions, 3), SETTINGS)
    np.testing.assert_allclose(found.rows.toarray(), dense_walks(sessions, np.ones(3), 3), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("seed", [1, 2])
def test_spark_learns_the_dense_formula(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sessions, n = [*random_sessions(rng, 39, 12, 6), rng.permutation(12).tolist()], 12
    ended = 1.5e9 + rng.random(40) * 10 * SECONDS_PER_DAY
    weights = np.exp((ended - ended.max()) / (DAYS * SECONDS_PER_DAY))
    found = fit_session_walk(session_tables(spark, tmp_path, sessions, n, ended.tolist()), SETTINGS)
    expected = dense_walks(sessions, weights, n) * trends(sessions, weights, ended, n)
    np.testing.assert_allclose(found.rows.toarray(), expected, rtol=1e-4, atol=1e-6)


def test_trends_by_hand(spark: SparkSession, tmp_path: Path) -> None:
    """Ten sessions at 0 s … 9 s: product 0 in all, 1 in the first three, 2 in the last three, the recent ones.

    Of 16 products in all sessions 6 are in the recent: of 3 sessions 3 · 6 / 16 = 1.125 are expected there.
    """
    sessions = [[0, 1]] * 3 + [[0]] * 4 + [[0, 2]] * 3
    evenly = SETTINGS.model_copy(update={"session_walk_days": 1e9})
    tables = session_tables(spark, tmp_path, sessions, 3, [float(second) for second in range(10)])
    (folder := tmp_path / "sums").mkdir()
    sums = session_sums(tables, evenly, folder)
    assert sums.held.tolist() == pytest.approx([10, 3, 3])
    assert sums.lately.tolist() == pytest.approx([3, 0, 3])
    assert trends_of(sums, 1).tolist() == pytest.approx([(3 + 3) / (3.75 + 3), 3 / (1.125 + 3), (3 + 3) / (1.125 + 3)])
    assert trends_of(sums, 0).tolist() == [1, 1, 1]
    # The order of the sessions alone, in ticks too short to weigh anything, says the same.
    ticks = session_tables(spark, tmp_path / "ticks", sessions, 3, [1e-6 * place for place in range(10)])
    (ticks.folder / "sums").mkdir()
    np.testing.assert_allclose(trends_of(session_sums(ticks, evenly, ticks.folder / "sums"), 1), trends_of(sums, 1))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=8), st.floats(0, 1))
def test_trends_are_of_any_shop(products: list[tuple[float, float]], power: float) -> None:
    """Finite and above 0; 1 without recent sessions, or where all are recent; more of them never lowers a product."""
    held = np.array([count for count, _ in products])
    lately = held * [share for _, share in products]
    found = trends_of(counts(held, lately), power)
    assert np.isfinite(found).all()
    assert (found > 0).all()
    for none_or_all in (np.zeros(len(held)), held):
        np.testing.assert_allclose(trends_of(counts(held, none_or_all), power), 1, rtol=1e-5)
    alike = trends_of(counts(np.full(len(held), held.sum()), np.sort(lately)), power)
    assert (np.diff(alike) >= 0).all()


def counts(held: NDArray, lately: NDArray) -> SessionSums:
    """Sums of which trends need these two."""
    nothing = csr_matrix((len(held), len(held)))
    return SessionSums(nothing, nothing, nothing, np.zeros(len(held)), held, lately)


def test_what_may_not_be_recommended_takes_nobodys_place(spark: SparkSession, tmp_path: Path) -> None:
    sessions = random_sessions(np.random.default_rng(3), 40, 12, 6)
    available = np.arange(12) != 4
    narrow = SETTINGS.model_copy(update={"session_walk_width": 6})
    every = fit_session_walk(session_tables(spark, tmp_path / "a", sessions, 12), narrow)
    some = fit_session_walk(session_tables(spark, tmp_path / "b", sessions, 12, available=available), narrow)
    assert np.diff(every.rows.indptr).tolist() == np.diff(some.rows.indptr).tolist() == [6] * 12
    assert 4 in every.rows.indices
    assert 4 not in some.rows.indices


def test_a_narrow_walk_keeps_the_largest_values(spark: SparkSession, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    transitions, restart = (canonical_rows(scaled(rng.random((30, 30)) + 5 * np.eye(30))) for _ in range(2))
    factors = np.ones(30, np.float32)
    wide, narrow = (
        walks(spark, transitions, restart, ONWARD, width, factors, tmp_path).toarray() for width in (30, 10)
    )
    ends = np.eye(30)
    for _ in range(STEPS):
        ends = ONWARD * ends @ transitions.toarray() + (1 - ONWARD) * restart.toarray()
    np.testing.assert_allclose(wide, ends, rtol=1e-5)
    assert (np.count_nonzero(narrow, axis=1) == 10).all()
    assert (np.argmax(narrow, axis=1) == np.arange(30)).all(), "the walk's own start, far ahead of the rest"


def test_later_products_count_more(spark: SparkSession, tmp_path: Path) -> None:
    """Scores are rows added up, each by exp(-products after it / decay)."""
    sessions = random_sessions(np.random.default_rng(6), 40, 8, 5)
    found = fit_session_walk(session_tables(spark, tmp_path, sessions, 8), SETTINGS)
    rows = found.rows.toarray()
    expected = rows[5] + np.exp(-1 / 2) * rows[1] + np.exp(-2 / 2) * rows[3]
    answer = found.candidates(visits([[3, 1, 5]]), 8)
    np.testing.assert_allclose(answer.scores[0], expected[answer.items[0]], rtol=1e-5)
    assert answer.items[0].tolist() == np.argsort(-expected, kind="stable").tolist()
    support = rows[[3, 1, 5]] * np.exp([[-2 / 2], [-1 / 2], [0]])
    strongest = np.array([3, 1, 5])[support.argmax(axis=0)]
    assert found.because(visits([[3, 1, 5]]), np.zeros(8, np.int64), np.arange(8, dtype=np.int32)).tolist() == (
        strongest.tolist()
    )


def test_a_log_without_sessions_of_two(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing follows anything: a product is only like itself."""
    found = fit_session_walk(session_tables(spark, tmp_path, [[0], [1], [1]], 3), SETTINGS)
    assert found.candidates(visits([[1], [2], []]), 2).items.tolist() == [[1, -1], [2, -1], [-1, -1]]
