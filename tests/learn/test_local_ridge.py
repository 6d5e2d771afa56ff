"""Small systems in place of an inverse, against the inverse of the same small part."""

from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from app.learn.local_ridge import local_ridge
from app.serve.sparse import canonical_rows

RIDGE = 2.0


def test_each_row_is_solved_in_its_neighbourhood(spark: SparkSession, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sessions = (rng.random((60, 9)) < 0.4).astype(float)
    lengths = np.maximum(sessions.sum(axis=1, keepdims=True), 1)
    gram, shared = (sessions / lengths).T @ (sessions / lengths), (sessions / lengths).T @ sessions
    found = local_ridge(spark, canonical_rows(gram), canonical_rows(shared), RIDGE, 4, tmp_path).toarray()
    for product in range(9):
        others = shared[product] * (np.arange(9) != product)
        members = np.append(np.argsort(-others, kind="stable")[:4], product)
        inverse = np.linalg.inv(gram[np.ix_(members, members)] + RIDGE * np.eye(5))
        row = np.maximum(inverse[-1] @ shared[members], 0)
        np.testing.assert_allclose(found[product], np.where(row >= np.sort(row)[-5], row, 0), rtol=1e-4, atol=1e-6)


def test_a_pair_that_one_row_lacks_is_taken_from_the_other(spark: SparkSession, tmp_path: Path) -> None:
    gram = np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 2]])
    half = np.triu(gram)
    found, expected = (
        local_ridge(spark, canonical_rows(one), canonical_rows(gram), RIDGE, 3, tmp_path) for one in (half, gram)
    )
    assert found.toarray().tolist() == expected.toarray().tolist()


def test_a_matrix_that_is_not_positive_definite_is_solved_too(spark: SparkSession, tmp_path: Path) -> None:
    gram = np.array([[1.0, 5], [5, 1]])
    found = local_ridge(spark, canonical_rows(gram), canonical_rows(gram), RIDGE, 1, tmp_path)
    expected = np.maximum(np.linalg.inv(gram + RIDGE * np.eye(2)) @ gram, 0)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
