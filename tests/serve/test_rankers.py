"""What every ranker must do; a new one is tested here as soon as it is listed."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.learn.ranker import EXAMPLE_SCHEMA, fit_lambdamart
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.exclusions import Exclusions
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers import RANKERS, LambdaMART, Ranker, ReciprocalRank
from app.serve.rankers.features import feature_names
from tests.arrays import NOTHING, visits

N, PRODUCTS = 30, 40
NAMES = ("als", "covisitation", "popularity")


def wild_pool(excluded: Exclusions) -> Pool:
    """Three generators that propose up to ten products each, some to nobody."""
    rng = np.random.default_rng(5)
    parts = {}
    for name in NAMES:
        items = np.array([rng.permutation(PRODUCTS)[:10] for _ in range(N)], np.int32)
        items[np.arange(10) >= rng.integers(0, 11, N)[:, None]] = NONE
        parts[name] = Candidates(items, np.where(items == NONE, 0, np.linspace(1, 0.1, 10)).astype(np.float32))
    return Pool.of(parts, excluded)


def catalogue() -> Catalogue:
    columns = {
        "product_id": np.arange(PRODUCTS),
        "category_code": [f"a.{number % 3}" for number in range(PRODUCTS)],
        "category": ["a"] * PRODUCTS,
        "brand": [f"b{number % 7}" for number in range(PRODUCTS)],
        "avg_price": [float(number) for number in range(PRODUCTS)],
        "popularity": [float(number * number % 11) for number in range(PRODUCTS)],
    }
    return Catalogue.of(pa.table(columns))


FIRST = ReciprocalRank({"als": 1.0, "covisitation": 3.0, "popularity": 0.5})


@cache
def trees() -> LambdaMART:
    """Trees that tell nothing but that they differ from the first order."""
    rng, names = np.random.default_rng(3), feature_names(NAMES)
    rows = 1_000
    columns = {
        "query": np.repeat(np.arange(rows // 10), 10),
        "asked_at": np.zeros(rows, np.int64),
        "product_id": np.arange(rows),
        "grade": rng.integers(0, 4, rows),
        "features": list(rng.random((rows, len(names)), np.float32)),
    }
    return fit_lambdamart(pa.table(columns, schema=EXAMPLE_SCHEMA), FIRST, NAMES, catalogue(), seed=1)


#: One of each kind, to be tested.
EXAMPLES = {"reciprocal_rank": lambda: FIRST, "lambdamart": trees}


@pytest.fixture(params=RANKERS, ids=[kind.name for kind in RANKERS])
def ranker(request: pytest.FixtureRequest) -> Ranker:
    return EXAMPLES[request.param.name]()


def proposed(pool: Pool) -> list[set[int]]:
    return [set(pool.items[pool.rows == row].tolist()) for row in range(N)]


@pytest.mark.parametrize("k", [1, 7, 50])
def test_lists_hold_what_is_in_the_pool_once_and_best_first(ranker: Ranker, k: int) -> None:
    pool = wild_pool(NOTHING)
    found = ranker.rank(pool, visits([[]] * N), k)
    assert found.items.shape == found.scores.shape == found.sources.shape == (N, k)
    assert (found.items.dtype, found.scores.dtype, found.sources.dtype) == (np.int32, np.float32, np.int8)
    there = found.items != NONE
    assert (np.diff(there.astype(int), axis=1) <= 0).all(), "nothing behind the padding"
    assert (np.diff(found.scores, axis=1)[there[:, 1:]] <= 0).all()
    assert ((found.sources != NONE) == there).all()
    for row, items in enumerate(proposed(pool)):
        listed = found.items[row][there[row]].tolist()
        assert set(listed) <= items
        assert len(set(listed)) == len(listed) == min(k, len(items))


def test_the_source_has_proposed_the_place(ranker: Ranker) -> None:
    pool = wild_pool(NOTHING)
    found = ranker.rank(pool, visits([[]] * N), 10)
    ranks = {(row, item): of for row, item, of in zip(pool.rows, pool.items, pool.ranks, strict=True)}
    for row, place in zip(*np.nonzero(found.items != NONE), strict=True):
        assert ranks[row, found.items[row, place]][found.sources[row, place]] > 0


def test_what_is_excluded_is_in_no_list(ranker: Ranker) -> None:
    everything = np.arange(PRODUCTS) % 3 > 0
    excluded = Exclusions.of(np.arange(N), np.arange(N) % PRODUCTS, everything)
    found = ranker.rank(wild_pool(excluded), visits([[]] * N), 10)
    assert not (found.items == (np.arange(N) % PRODUCTS)[:, None]).any()
    assert (found.items[found.items != NONE] % 3 > 0).all()


def test_a_list_does_not_depend_on_the_rest_of_the_batch(ranker: Ranker) -> None:
    pool, asked = wild_pool(NOTHING), visits([[]] * N)
    whole = ranker.rank(pool, asked, 10)
    for row in range(N):
        mine = pool.rows == row
        keys = pool.keys[mine] & 0xFFFFFFFF
        alone = Pool(1, pool.generators, keys, pool.ranks[mine], pool.scores[mine])
        one = ranker.rank(alone, asked.slice(row, row + 1), 10)
        assert one.items.tolist() == [whole.items[row].tolist()]


def test_an_empty_pool_gives_empty_lists(ranker: Ranker) -> None:
    pool = Pool.of({name: Candidates.empty(2, 4) for name in NAMES}, NOTHING)
    assert (ranker.rank(pool, visits([[], []]), 3).items == NONE).all()


def test_saved_and_loaded_ranks_the_same(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    pool, asked = wild_pool(NOTHING), visits([[]] * N)
    before, after = (one.rank(pool, asked, 10) for one in (ranker, type(ranker).load(tmp_path, catalogue(), NAMES)))
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tolist() == after.scores.tolist()
