"""The best of a pool, found by loops, against the same thing written naively."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.serve import pool_loops
from app.serve.ragged import NONE, pair_keys

#: By visit and product, what two generators add, in quarters: so that sums are exact, and equal ones are.
TERMS = st.tuples(st.integers(0, 4).map(lambda n: n / 4), st.integers(0, 4).map(lambda n: n / 4))
POOLS = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 9)), TERMS, max_size=25)
Pool = dict[tuple[int, int], tuple[float, float]]


def arrays(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys (m,), and terms (m, 2)."""
    pairs = sorted(pool)
    keys = pair_keys(np.array([visit for visit, _ in pairs], int), np.array([item for _, item in pairs], int))
    return keys, np.array([pool[pair] for pair in pairs]).reshape(-1, 2)


def best(pool: Pool, visit: int, k: int) -> list[tuple[int, int]]:
    """The best pairs of a visit, whose terms add up to more than 0, of equal ones the smaller product first."""
    theirs = [pair for pair, terms in pool.items() if pair[0] == visit and sum(terms) > 0]
    return sorted(theirs, key=lambda pair: (-sum(pool[pair]), pair[1]))[:k]


def test_terms_are_weights_over_offset_and_rank() -> None:
    ranks = np.array([[1, 0], [3, 2]], np.int32)
    found = pool_loops.reciprocal(ranks, np.array([2.0, 1.0]), 1.0)
    assert found.tolist() == [[1.0, 0.0], [0.5, pytest.approx(1 / 3)]]


@given(POOLS, st.integers(1, 6))
@settings(deadline=None)
def test_the_best_entries_of_each_visit(pool: Pool, depth: int) -> None:
    keys, terms = arrays(pool)
    pairs, chosen = sorted(pool), pool_loops.best_entries(keys, terms, depth)
    assert [pairs[entry] for entry in chosen] == sorted(pair for visit in range(4) for pair in best(pool, visit, depth))


@given(POOLS, st.integers(1, 6))
@settings(deadline=None)
def test_ranked_by_score_with_the_generator_that_says_most(pool: Pool, k: int) -> None:
    keys, terms = arrays(pool)
    items, scores, sources = pool_loops.ranked(keys, terms.sum(axis=1).astype(np.float32), terms, 5, k)
    assert items.shape == scores.shape == sources.shape == (5, k)  # the fifth visit has no proposals
    for visit in range(5):
        wanted = best(pool, visit, k)
        empty = k - len(wanted)
        assert items[visit].tolist() == [item for _, item in wanted] + [NONE] * empty
        assert scores[visit].tolist() == [sum(pool[pair]) for pair in wanted] + [0.0] * empty
        assert sources[visit].tolist() == [int(pool[p][1] > pool[p][0]) for p in wanted] + [NONE] * empty
