"""Sums of trees for many rows at once: to the last bit those of LightGBM."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.serve.pool_loops import AT_ONCE
from app.serve.rankers.forest import MOST_LEAVES, Forest

FEATURES = 4  #: of which the second has gaps, and the third is a small number of kinds


def table(seed: int, rows: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    found[rng.random(rows) < 0.3, 1] = np.nan
    found[:, 2] = rng.integers(0, 4, rows)
    return found


def learned(seed: int, leaves: int = 15) -> lightgbm.Booster:
    known = table(seed, 600)
    wanted = known[:, 0] * (known[:, 2] > 1) + np.where(np.isnan(known[:, 1]), (-1) ** seed, known[:, 1])
    parameters = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1, "seed": seed}
    return lightgbm.train(parameters | {"extra_trees": True}, lightgbm.Dataset(known, wanted), num_boost_round=5)


def forest(booster: lightgbm.Booster) -> Forest:
    found = Forest.of(booster)
    assert found is not None
    return found


def predicted(booster: lightgbm.Booster, known: NDArray[np.float32]) -> list[float]:
    """The sums by LightGBM itself."""
    return np.asarray(booster.predict(known, raw_score=True)).tolist()


@given(st.integers(0, 50), st.integers(2, MOST_LEAVES), st.data())
@settings(deadline=None, max_examples=25)
def test_sums_are_those_of_lightgbm(seed: int, leaves: int, data: st.DataObject) -> None:
    """Also on a threshold and next to it, and where something is missing that never was before."""
    booster = learned(seed, leaves)
    trees = forest(booster)
    known = table(seed + 1, 200)
    edges = [(node.feature, node.threshold) for tree in trees.trees for node in tree.nodes]
    for feature, edge in data.draw(st.lists(st.sampled_from(edges), max_size=20)) if edges else []:
        row = data.draw(st.integers(0, 197))
        known[row : row + 3, feature] = edge, np.nextafter(edge, np.float32(np.inf)), np.nan
    assert trees.sums(known).tolist() == predicted(booster, known)


def test_a_threshold_between_two_numbers_of_single_precision_is_kept() -> None:
    rows = np.array([[0.1], [0.1], [0.2], [0.2]], np.float32)
    booster = lightgbm.train(
        {"min_data_in_leaf": 1, "min_data_in_bin": 1, "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(rows, np.array([0.0, 0, 1, 1])),
        num_boost_round=1,
    )
    near = np.nextafter(np.float32(0.15), np.array([-1, 1], np.float32)).reshape(-1, 1)
    asked = np.vstack([rows, near, near * 1.000001, [[np.nan]]]).astype(np.float32)
    assert forest(booster).sums(asked).tolist() == predicted(booster, asked)


def test_what_is_next_to_nothing_is_0() -> None:
    """A threshold between 0 and what is below it lies at -1e-35, and LightGBM takes that itself for 0."""
    rows = np.repeat(np.array([[-1.0], [0.0], [1.0]], np.float32), 30, axis=0)
    booster = lightgbm.train(
        {"min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(rows, np.repeat([0.0, 1.0, 3.0], 30)),
        num_boost_round=3,
    )
    small = np.float32(1e-35) * np.array([-2, -1, -0.5, 0, 0.5, 1, 2], np.float32)
    asked = np.concatenate([small, np.nextafter(np.float32(1e-35), np.array([-1, 1], np.float32))]).reshape(-1, 1)
    assert forest(booster).sums(asked).tolist() == predicted(booster, asked)


def test_more_rows_than_are_taken_at_a_time() -> None:
    booster, known = learned(1), table(2, 2 * AT_ONCE + 3)
    assert forest(booster).sums(known).tolist() == predicted(booster, known)


def test_trees_that_never_split() -> None:
    booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(np.zeros((10, 2)), np.ones(10)), num_boost_round=2)
    asked = np.ones((3, 2), np.float32)
    assert forest(booster).sums(asked).tolist() == predicted(booster, asked)


@pytest.mark.parametrize("kind", ["larger", "of categories", "with zeros for gaps"])
def test_other_trees_are_left_to_lightgbm(kind: str) -> None:
    known = table(3, 600)
    more = {"num_leaves": MOST_LEAVES + 1 if kind == "larger" else 8, "zero_as_missing": kind == "with zeros for gaps"}
    data = lightgbm.Dataset(
        known, known[:, 0] + known[:, 2], categorical_feature=[2] if kind == "of categories" else []
    )
    parameters = {"min_data_in_leaf": 5, "min_data_per_group": 5, "verbosity": -1, "num_threads": 1} | more
    assert Forest.of(lightgbm.train(parameters, data, num_boost_round=3)) is None
