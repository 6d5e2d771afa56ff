"""What a ranker learns from: grades, the sample, and whole examples of a recommender that is known."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.evaluate.examples import NEGATIVES, examples_of, grades, in_order, sample
from app.evaluate.targets import ANY, BITS
from app.serve.ragged import Ragged
from app.serve.rankers import ReciprocalRank
from app.serve.rankers.features import feature_names
from app.serve.recommender import Recommender
from tests.evaluate.test_quality import N, save


def test_grades_by_what_was_done() -> None:
    view, cart, bought = (ANY | BITS[name] for name in ("view", "cart", "purchase"))
    assert grades(np.array([0, ANY, view, cart | view, bought | cart])).tolist() == [0, 1, 1, 2, 3]


def sampled(positive: list[list[int]], length: int = 100) -> list[list[int]]:
    """Places kept of each query's first `length`."""
    n = len(positive)
    shape = Ragged.of_lengths(np.full(n, length))
    wanted = np.zeros((n, length), np.bool_)
    for row, places in enumerate(positive):
        wanted[row, places] = True
    products = np.tile(np.arange(length), n)
    kept = sample(shape, wanted.ravel(), np.repeat(np.arange(n) * 7919, length), products)
    return [[entry - row * length for entry in kept if entry // length == row] for row in range(n)]


def test_all_positives_and_so_many_others() -> None:
    (kept,) = sampled([[3, 50, 99]])
    assert len(kept) == NEGATIVES + 3
    assert {3, 50, 99} <= set(kept)
    assert kept == sorted(set(kept))


def test_queries_without_an_answer_are_left_out() -> None:
    nothing, something = sampled([[], [1]])
    assert (nothing, len(something)) == ([], NEGATIVES + 1)


def test_small_pools_are_taken_whole() -> None:
    assert sampled([[1]], length=5) == [[0, 1, 2, 3, 4]]


def test_the_sample_is_the_same_whoever_is_asked_beside_and_spread_evenly() -> None:
    rows = sampled([[0]] * 400)
    assert sampled([[0]])[0] == rows[0]
    assert rows[0] != rows[1]
    counts = np.bincount(np.concatenate(rows), minlength=100)[1:]
    assert counts.min() > 400 * NEGATIVES / 99 * 0.6
    assert counts.max() < 400 * NEGATIVES / 99 * 1.4


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Of a recommender that is always right; of two queries one is for the product after the one on screen."""
    recommender = Recommender.load(save(tmp_path_factory.mktemp("examples") / "perfect", 1))
    columns = {
        "query": [11, 22],
        "user_id": [0, 1],
        "asked_at": [2_000, 1_000],
        "product_ids": [[105], [107]],
        "kinds": [[1], [1]],
        "weights": [[1.0], [1.0]],
        "times": [[2_000.0], [990.0]],
        "relevant": [[106], [999]],
        "targets": [[ANY | BITS["purchase"]], [ANY]],
    }
    types = {"kinds": pa.list_(pa.int32()), "weights": pa.list_(pa.float32()), "targets": pa.list_(pa.int32())}
    queries = pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})
    first = ReciprocalRank({"covisitation": 1.0, "popularity": 0.1})
    return in_order(examples_of(recommender, queries, first))


def test_examples_of_a_recommender(found: pa.Table) -> None:
    assert set(found["query"].to_pylist()) == {11}, "the pool has no answer to the other"
    assert found["asked_at"].to_pylist() == [2_000] * len(found)
    assert len(found) == N - 1, "all but the product on screen"
    graded = dict(zip(found["product_id"].to_pylist(), found["grade"].to_pylist(), strict=True))
    assert {product for product, grade in graded.items() if grade} == {106}
    assert graded[106] == 3


def test_features_are_of_the_whole_pool_not_of_the_sample(found: pa.Table) -> None:
    names = feature_names(("als", "covisitation", "popularity"))
    rows = {
        product: dict(zip(names, row, strict=True))
        for product, row in zip(found["product_id"].to_pylist(), found["features"].to_pylist(), strict=True)
    }
    assert rows[106]["reciprocal_rank_share"] == 1
    assert rows[106]["rank_covisitation"] == 1
    assert rows[100]["rank_popularity"] == 1
    assert rows[101]["score_popularity"] == pytest.approx(1 - 0.9 / 29, rel=1e-5)


def test_no_queries_give_no_examples(tmp_path: Path) -> None:
    recommender = Recommender.load(save(tmp_path / "perfect", 1))
    assert len(examples_of(recommender, pa.table({"query": pa.array([], pa.int64())}), ReciprocalRank({}))) == 0
