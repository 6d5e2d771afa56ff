"""The learned ranker beside the order that it starts from, and what it refuses."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.serve.contract import Candidates
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers import LambdaMART
from app.serve.rankers import lambdamart as module
from app.serve.rankers.features import Attributes
from tests.arrays import NOTHING, visits
from tests.serve.test_rankers import FIRST, NAMES, catalogue, trees, wild_pool


def test_only_the_best_places_are_ordered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, asked = wild_pool(NOTHING), visits([[]] * 30)
    monkeypatch.setattr(module, "DEPTH", 4)
    first, again = (one.rank(pool, asked, 10) for one in (FIRST, trees()))
    assert (np.sort(again.items[:, :4]) == np.sort(first.items[:, :4])).all(), "the same four"
    assert not (again.items[:, :4] == first.items[:, :4]).all(), "in another order"
    assert (again.items[:, 4:] == first.items[:, 4:]).all()
    assert (again.scores[:, 4:] == 0).all()
    assert (trees().rank(pool, asked, 4).items == again.items[:, :4]).all()


def test_trees_that_are_not_made_for_a_forest_order_as_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, asked, ranker = wild_pool(NOTHING), visits([[]] * 30), replace(trees())
    found = ranker.rank(pool, asked, 10)
    other = replace(ranker)
    monkeypatch.setattr(module.Forest, "of", lambda booster: None)
    monkeypatch.setattr(module.Forest, "sums", None)
    by_lightgbm = other.rank(pool, asked, 10)
    assert (found.items.tolist(), found.scores.tolist()) == (by_lightgbm.items.tolist(), by_lightgbm.scores.tolist())


@pytest.mark.parametrize(("in_sessions", "elsewhere"), [(True, False), (False, True), (False, False)])
def test_lists_that_it_does_not_order_are_those_of_reciprocal_rank(in_sessions: bool, elsewhere: bool) -> None:
    """Every third visit has a session."""
    pool, asked = wild_pool(NOTHING), visits([[1] if row % 3 == 0 else [] for row in range(30)])
    found = replace(trees(), in_sessions=in_sessions, elsewhere=elsewhere).rank(pool, asked, 10)
    first, again = (one.rank(pool, asked, 10) for one in (FIRST, trees()))
    for row in range(30):
        wanted = again if (in_sessions if row % 3 == 0 else elsewhere) else first
        for name in ("items", "scores", "sources"):
            assert getattr(found, name)[row].tolist() == getattr(wanted, name)[row].tolist()


def test_which_lists_it_orders_is_saved(tmp_path: Path) -> None:
    replace(trees(), elsewhere=False).save(tmp_path)
    found = LambdaMART.load(tmp_path, catalogue(), NAMES)
    assert (found.in_sessions, found.elsewhere) == (True, False)


def test_sources_are_those_of_reciprocal_rank() -> None:
    pool, asked = wild_pool(NOTHING), visits([[]] * 30)
    first, again = (one.rank(pool, asked, 30) for one in (FIRST, trees()))
    for row in range(30):
        of = dict(zip(first.items[row], first.sources[row], strict=True))
        assert [of[item] for item in again.items[row]] == again.sources[row].tolist()


def test_what_no_weight_speaks_for_is_in_no_list() -> None:
    pool = Pool.of({name: Candidates.empty(1, 2) for name in NAMES[:2]} | {NAMES[2]: two()}, NOTHING)
    silent = replace(trees(), first=replace(FIRST, weights={"als": 1.0}))
    assert (silent.rank(pool, visits([[]]), 3).items == NONE).all()


def two() -> Candidates:
    return Candidates(np.array([[5, 6]], np.int32), np.ones((1, 2), np.float32))


def test_equal_scores_go_to_the_smaller_product() -> None:
    """Trees that never split give everything one score."""
    blind = replace(trees(), model=stump())
    found = blind.rank(Pool.of(dict.fromkeys(NAMES, two()), NOTHING), visits([[]]), 3)
    assert found.items.tolist() == [[5, 6, NONE]]
    assert found.scores[0].tolist() == [0.5, 0.5, 0]


def stump() -> str:
    import lightgbm

    names = trees().booster.feature_name()
    data = lightgbm.Dataset(np.zeros((10, len(names))), np.zeros(10), feature_name=names)
    return str(lightgbm.train({"objective": "regression", "verbosity": -1}, data, 1).model_to_string())


def test_it_is_refused_where_generators_are_others(tmp_path: Path) -> None:
    trees().save(tmp_path)
    with pytest.raises(ValueError, match="was learned with als, covisitation, popularity"):
        LambdaMART.load(tmp_path, catalogue(), ("covisitation", "als", "popularity"))
    other = Pool.of({"als": Candidates.empty(1, 2)}, NOTHING)
    with pytest.raises(ValueError, match="was learned with als, covisitation, popularity"):
        trees().rank(other, visits([[]]), 1)


def test_damaged_or_foreign_trees_are_refused(tmp_path: Path) -> None:
    trees().save(tmp_path)
    whole = (tmp_path / module.MODEL).read_text()
    (tmp_path / module.MODEL).write_text(whole.replace("price_ratio", "shoe_size"))
    with pytest.raises(ValueError, match="other features"):
        LambdaMART.load(tmp_path, catalogue(), NAMES)
    (tmp_path / module.MODEL).write_text("no trees")
    with pytest.raises(ValueError, match="its ranker cannot be read"):
        LambdaMART.load(tmp_path, catalogue(), NAMES)


def test_of_a_bundle_that_knows_nothing_of_the_last_day_and_week_it_is_refused(tmp_path: Path) -> None:
    trees().save(tmp_path)
    known = catalogue()
    older = replace(known, table=known.table.drop_columns(["day_users", "day_buyers", "week_users", "week_buyers"]))
    with pytest.raises(ValueError, match="other features; make a new one with vitrine train"):
        LambdaMART.load(tmp_path, older, NAMES)


def test_beside_it_a_generator_may_lead(tmp_path: Path) -> None:
    ranker = replace(trees(), first=trees().first.led("", NAMES[0]), elsewhere=False)
    ranker.save(tmp_path)
    assert LambdaMART.load(tmp_path, catalogue(), NAMES).first == ranker.first


def test_over_another_catalogue_it_looks_at_that_ones_products() -> None:
    fewer = catalogue().table.slice(0, 20)
    moved = trees().over(type(catalogue()).of(fewer))
    assert len(moved.attributes.price) == 20
    assert moved.model == trees().model
    assert isinstance(moved.attributes, Attributes)


def test_lightgbm_is_imported_only_where_a_ranker_needs_it() -> None:
    """It takes longer to import than a bundle to open."""
    ask = "import sys, app.serve.recommender, app.registry.bundle; print('lightgbm' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert run.stdout == "False\n"
