"""The item graph against the paper's formula, written densely: nothing is cut in these, so that all must agree."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.learn.item_graph import fit_item_graph, user_products
from tests.arrays import visits
from tests.learn.tables import random_sessions, session_tables

FACTORS, LOW_PASS, SHARPNESS = 3, 0.3, 1.5
SETTINGS = Settings(item_graph_factors=FACTORS, item_graph_low_pass=LOW_PASS, item_graph_sharpness=SHARPNESS)


def bspm(rows: NDArray, users: NDArray) -> NDArray:
    """BSPM's scores (n, p) of users' rows (n, p), step by step, from the training's users (u, p)."""
    degrees = users.sum(axis=0)
    scaled = users / np.sqrt(users.sum(axis=1, keepdims=True)) / np.sqrt(degrees)
    graph = scaled.T @ scaled
    first = np.linalg.svd(scaled)[2][:FACTORS].T
    low_pass = rows / np.sqrt(degrees) @ first @ first.T * np.sqrt(degrees)
    blurred = rows @ graph + LOW_PASS * low_pass
    term, sharp = blurred, blurred
    for power in (1, 2, 3, 4):
        term = -SHARPNESS / power * term @ graph
        sharp = sharp + term
    return sharp


def as_rows(lists: list[list[int]], n: int) -> NDArray:
    return np.array([[float(item in row) for item in range(n)] for row in lists])


@pytest.mark.parametrize("seed", [1, 2])
def test_spark_learns_the_dense_formula_and_folds_in(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """A user whom training knew and one whom it never saw are answered by one formula."""
    rng = np.random.default_rng(seed)
    users, n = [*random_sessions(rng, 40, 12, 6), list(range(12))], 12  # so that every product has a user
    model = fit_item_graph(session_tables(spark, tmp_path, users, n), SETTINGS)
    asked = [users[0], users[1], [2, 9]]
    expected = bspm(as_rows(asked, n), as_rows(users, n))
    answer = model.candidates(visits(asked, users=[0, -1, -1], fresh=[False, True, True]), n)
    for row, items, scores in zip(expected, answer.items, answer.scores, strict=True):
        there = items >= 0
        np.testing.assert_allclose(scores[there], row[items[there]], rtol=1e-4, atol=1e-6)
        assert set(items[there].tolist()) == set(np.flatnonzero(row > 1e-6).tolist())
    known = model.candidates(visits([users[0]], users=[0], fresh=False), n)
    unknown = model.candidates(visits([users[0]]), n)
    assert known.items.tolist() == unknown.items.tolist()
    assert known.scores.tolist() == unknown.scores.tolist()


def test_a_reason_is_what_adds_most(spark: SparkSession, tmp_path: Path) -> None:
    users = [*random_sessions(np.random.default_rng(3), 40, 8, 5), list(range(8))]
    model = fit_item_graph(session_tables(spark, tmp_path, users, 8), SETTINGS)
    each = bspm(np.eye(8)[[6, 2]], as_rows(users, 8))
    expected = np.where(each.max(axis=0) > 0, np.array([6, 2])[each.argmax(axis=0)], -1)
    found = model.because(visits([[6, 2]]), np.zeros(8, np.int64), np.arange(8, dtype=np.int32))
    assert found.tolist() == expected.tolist()


def test_what_may_not_be_recommended_is_not_proposed(spark: SparkSession, tmp_path: Path) -> None:
    users = random_sessions(np.random.default_rng(4), 40, 8, 5)
    some = session_tables(spark, tmp_path, users, 8, available=np.arange(8) != 3)
    model = fit_item_graph(some, SETTINGS)
    assert np.diff(model.near.indptr).tolist() == [7] * 8, "all the others"
    assert 3 not in model.candidates(visits([[3, 1], [0]]), 8).items


def test_of_a_crawler_the_best_rated_products_count(spark: SparkSession) -> None:
    rated = [(1, 10, 1.0), (1, 11, 5.0), (1, 12, 3.0), (2, 12, 1.0)]
    rows = user_products(spark.createDataFrame(rated, "user_id long, product_id long, rating double"), 2).collect()
    assert sorted((row["products"], row["w"]) for row in rows) == [([11, 12], 0.5), ([12], 1.0)]
