"""Ranking metrics by hand and against the same thing written naively; bootstrap weights and intervals."""

from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluate.metrics import interval, poisson_weights, ranking_metrics
from app.evaluate.names import METRICS
from app.evaluate.targets import ANY, Wanted


def measure(lists: np.ndarray, relevant: list[np.ndarray]) -> np.ndarray:
    wanted = Wanted.of_lists(relevant)
    return ranking_metrics(wanted.found(lists) > 0, wanted.counts(ANY))


def measured(row: list[int], relevant: list[int]) -> dict[str, float]:
    lists = np.array([row + [-1] * (20 - len(row))], np.int64)
    values = measure(lists, [np.array(relevant, np.int64)])
    return dict(zip(METRICS, values[0].tolist(), strict=True))


def test_one_relevant_product_at_the_third_place() -> None:
    found = measured([7, 8, 9], [9])
    assert found == pytest.approx(
        {
            f"{name}_{k}": value
            for k in (10, 20)
            for name, value in (("hr", 1), ("mrr", 1 / 3), ("recall", 1), ("ndcg", 0.5))
        }
    )  # the third place is discounted by log2(4) = 2, and the best it could be is 1


def test_a_product_behind_the_tenth_place_counts_at_20_only() -> None:
    found = measured([*range(100, 110), 5], [5])
    assert [found[f"{name}_10"] for name in ("hr", "ndcg", "mrr", "recall")] == [0, 0, 0, 0]
    assert [found[f"{name}_20"] for name in ("hr", "mrr", "recall")] == pytest.approx([1, 1 / 11, 1])
    assert found["ndcg_20"] == pytest.approx(1 / log2(12))


def test_several_relevant_products() -> None:
    found = measured([1, 50, 2, 51], [1, 2, 3])
    gain, ideal = 1 + 1 / log2(4), 1 + 1 / log2(3) + 1 / log2(4)
    assert (found["hr_10"], found["mrr_10"]) == (1, 1)
    assert (found["recall_10"], found["ndcg_10"]) == pytest.approx((2 / 3, gain / ideal))


def test_more_relevant_products_than_places() -> None:
    found = measured(list(range(10)), list(range(40)))
    assert (found["ndcg_10"], found["recall_10"]) == pytest.approx((1, 0.25))


def test_ids_of_text_are_hashes_and_may_be_negative() -> None:
    assert measured([-7, 8], [-7])["mrr_10"] == 1


def test_padding_is_never_relevant() -> None:
    assert set(measured([], [-1]).values()) == {0}


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 40), unique=True, max_size=20), st.sets(st.integers(0, 40), min_size=1, max_size=30)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_as_written_naively(queries: list[Any]) -> None:
    lists = np.array([row + [-1] * (20 - len(row)) for row, _ in queries], np.int64)
    relevant = [np.array(sorted(wanted), np.int64) for _, wanted in queries]
    values = measure(lists, relevant)
    for (row, wanted), found in zip(queries, values, strict=True):
        expected = []
        for k in (10, 20):
            places = [place for place, item in enumerate(row[:k], start=1) if item in wanted]
            ideal = sum(1 / log2(place + 1) for place in range(1, min(len(wanted), k) + 1))
            gain = sum(1 / log2(place + 1) for place in places)
            expected += [float(bool(places)), gain / ideal, 1 / places[0] if places else 0, len(places) / len(wanted)]
        assert found == pytest.approx(expected)


def test_no_queries() -> None:
    assert measure(np.empty((0, 20), np.int64), []).shape == (0, len(METRICS))


QUERIES = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 4000)


def test_first_column_is_the_sample_and_the_others_poisson() -> None:
    weights = poisson_weights(QUERIES, 50)
    assert weights.shape == (4000, 51)
    assert (weights[:, 0] == 1).all()
    counts = weights[:, 1:]
    assert counts.mean() == pytest.approx(1, abs=0.01)
    assert counts.var() == pytest.approx(1, abs=0.02)
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)
    assert (counts == 2).mean() == pytest.approx(np.exp(-1) / 2, abs=0.005)
    together = np.corrcoef(counts[:, :8], rowvar=False) - np.eye(8)
    assert np.abs(together).max() < 0.08  # replicates do not copy each other


def test_weights_belong_to_the_query_not_to_its_place_or_batch() -> None:
    weights = poisson_weights(QUERIES, 20)
    order = np.random.default_rng(2).permutation(len(QUERIES))
    assert (poisson_weights(QUERIES[order], 20) == weights[order]).all()
    parts = [poisson_weights(part, 20) for part in np.array_split(QUERIES, 7)]
    assert (np.concatenate(parts) == weights).all()


def test_interval_is_the_central_95_percent() -> None:
    assert interval(np.arange(1001.0)) == (25, 975)


def test_intervals_cover_the_true_mean() -> None:
    """Of 200 samples with a mean of 0.3 about 95 % must have it in their interval."""
    rng, covered = np.random.default_rng(3), 0
    for sample in range(200):
        values = rng.random(300) < 0.3
        weights = poisson_weights(np.arange(300) + 1000 * sample, 200)[:, 1:]
        low, high = interval(values @ weights / weights.sum(axis=0))
        covered += low <= 0.3 <= high
    assert 180 <= covered <= 199
