"""Learning the ranker, in a world where one feature decides what is wanted."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.core.errors import InputError
from app.learn import ranker as ranker_module
from app.learn.ranker import EXAMPLE_SCHEMA, check_library, fit_lambdamart
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.pool import Pool
from app.serve.rankers import LambdaMART, ReciprocalRank
from app.serve.rankers.features import feature_names
from tests.arrays import NOTHING, visits

NAMES = ("popularity",)
FIRST = ReciprocalRank({"popularity": 1.0}, 5)
PRODUCTS = 30  #: of three brands, by position modulo 3


def catalogue() -> Catalogue:
    columns = {
        "product_id": range(PRODUCTS),
        "category_code": ["a"] * PRODUCTS,
        "category": ["a"] * PRODUCTS,
        "brand": [f"brand {number % 3}" for number in range(PRODUCTS)],
        "avg_price": [1.0] * PRODUCTS,
        "popularity": [1.0] * PRODUCTS,
    }
    return Catalogue.of(pa.table(columns))


def examples(decides: str, queries: int = 300, each: int = 20) -> pa.Table:
    """Random features; the proposals in which one of them is largest are wanted."""
    rng, names = np.random.default_rng(4), feature_names(NAMES)
    known = rng.random((queries, each, len(names)), np.float32)
    decisive = known[:, :, names.index(decides)]
    grade = np.where(decisive >= np.sort(decisive, axis=1)[:, -2:-1], 1, 0)
    rows = queries * each
    columns = {
        "query": np.repeat(np.arange(queries), each),
        "asked_at": np.zeros(rows, np.int64),
        "product_id": np.arange(rows),
        "grade": grade.ravel(),
        "features": list(known.reshape(rows, -1)),
    }
    return pa.table(columns, schema=EXAMPLE_SCHEMA)


@pytest.fixture(scope="module")
def ranker() -> LambdaMART:
    return fit_lambdamart(examples("same_brand"), FIRST, NAMES, catalogue(), seed=1)


def test_what_decides_has_most_of_the_gain(ranker: LambdaMART) -> None:
    gains = dict(zip(ranker.booster.feature_name(), ranker.booster.feature_importance("gain"), strict=True))
    assert gains["same_brand"] > 0.5 * sum(gains.values()), "chance has the rest"


def test_products_of_the_brand_on_screen_come_first_though_they_were_last(ranker: LambdaMART) -> None:
    order = np.array([[number for rest in (0, 1, 2) for number in range(rest, PRODUCTS, 3)]], np.int32)
    pool = Pool.of({"popularity": Candidates(order, np.linspace(2, 1, PRODUCTS, dtype=np.float32)[None])}, NOTHING)
    asked = visits([[2]])
    assert (FIRST.rank(pool, asked, 9).items % 3 == 0).all()
    assert (ranker.rank(pool, asked, 9).items % 3 == 2).all()


def test_the_same_examples_and_seed_give_the_same_trees(ranker: LambdaMART) -> None:
    assert fit_lambdamart(examples("same_brand"), FIRST, NAMES, catalogue(), seed=1).model == ranker.model


def test_several_threads_learn_the_same_trees(ranker: LambdaMART, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker_module, "FEW", 1_000)
    assert fit_lambdamart(examples("same_brand"), FIRST, NAMES, catalogue(), seed=1, threads=2).model == ranker.model


def test_it_comes_back_from_its_folder_as_it_was(ranker: LambdaMART, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    found = LambdaMART.load(tmp_path, catalogue(), NAMES)
    assert (found.model, found.first, found.generators) == (ranker.model, FIRST, NAMES)


def test_a_missing_library_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker_module, "OPENMP", "libgomp.so.none")
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match="type: sudo apt-get install libgomp1, or learn no ranker"):
        check_library()
