"""The blend: weighted reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.serve.contract import Candidates
from app.serve.exclusions import Exclusions
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers.contract import Ranked
from app.serve.rankers.reciprocal_rank import ReciprocalRank
from tests.arrays import NOTHING, visits
from tests.serve.conftest import block_catalogue


def blend(parts: dict[str, Candidates], weights: dict[str, float], excluded: Exclusions, k: int) -> Ranked:
    n = len(next(iter(parts.values())).items)
    return ReciprocalRank(weights).rank(Pool.of(parts, excluded), visits([[]] * n), k)


def ranked(*rows: list[int]) -> Candidates:
    """Candidates in this order; their own scores do not matter to the blend."""
    width = max(map(len, rows))
    items = np.array([row + [NONE] * (width - len(row)) for row in rows], np.int32)
    return Candidates(items, np.where(items == NONE, 0, 1).astype(np.float32))


PARTS = {"a": ranked([1, 2, 3]), "b": ranked([3, 4])}


def test_scores_by_hand() -> None:
    lists = blend(PARTS, {"a": 1.0, "b": 2.0}, NOTHING, 5)
    assert lists.items.tolist() == [[3, 4, 1, 2, NONE]]
    assert lists.scores[0] == pytest.approx([1 / 63 + 2 / 61, 2 / 62, 1 / 61, 1 / 62, 0])


def test_source_is_the_generator_that_contributed_most() -> None:
    assert blend(PARTS, {"a": 1.0, "b": 2.0}, NOTHING, 5).sources.tolist() == [[1, 1, 0, 0, NONE]]
    # now a gives 3 more (3 / 63) than b (1 / 61)
    assert blend(PARTS, {"a": 3.0, "b": 1.0}, NOTHING, 5).sources.tolist() == [[0, 0, 0, 1, NONE]]


def test_a_smaller_offset_lets_the_first_place_win() -> None:
    """3 is third and first, 1 first alone: 1 / 3 + 1 against 2."""
    parts = {"a": ranked([1, 2, 3]), "b": ranked([3])}
    lists = ReciprocalRank({"a": 2.0, "b": 1.0}, offset=0).rank(Pool.of(parts, NOTHING), visits([[]]), 3)
    assert lists.items.tolist() == [[1, 3, 2]]
    assert lists.scores[0] == pytest.approx([2, 2 / 3 + 1, 1])


def test_weights_turn_the_order() -> None:
    assert blend(PARTS, {"a": 1.0, "b": 0.01}, NOTHING, 3).items.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("weights", [{"a": 1.0}, {"a": 1.0, "b": 0.0}])
def test_a_generator_without_weight_adds_nothing(weights: dict[str, float]) -> None:
    assert blend(PARTS, weights, NOTHING, 5).items.tolist() == [[1, 2, 3, NONE, NONE]]


def test_excluded_products_are_out_of_their_own_row_only() -> None:
    parts = {"a": ranked([1, 2], [1, 2])}
    excluded = Exclusions.of(np.array([0, 1, 1]), np.array([1, NONE, 7], np.int32))
    assert blend(parts, {"a": 1.0}, excluded, 2).items.tolist() == [[2, NONE], [1, 2]]


def test_ties_go_to_the_smaller_product_and_the_first_generator() -> None:
    parts = {"a": ranked([9, 3]), "b": ranked([5, 3])}
    lists = blend(parts, {"a": 1.0, "b": 1.0}, NOTHING, 3)
    assert lists.items.tolist() == [[3, 5, 9]]
    assert lists.sources.tolist() == [[0, 1, 0]]


def test_no_rows() -> None:
    lists = blend({"a": Candidates.empty(0, 4)}, {"a": 1.0}, NOTHING, 3)
    assert lists.items.shape == lists.scores.shape == lists.sources.shape == (0, 3)


RANKING = st.lists(st.integers(0, 8), unique=True, max_size=5)


@settings(deadline=None)
@given(
    st.lists(st.tuples(RANKING, RANKING, RANKING), min_size=1, max_size=4),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=8),
    st.integers(1, 9),
)
def test_as_written_naively(rows: list[Any], numbers: Any, out: set[tuple[int, int]], k: int) -> None:
    names = ["a", "b", "c"]
    weights = dict(zip(names, map(float, numbers), strict=True))
    parts = {name: ranked(*(row[i] for row in rows)) for i, name in enumerate(names)}
    excluded = Exclusions.of(np.array([row for row, _ in out], np.int64), np.array([item for _, item in out], np.int32))
    lists = blend(parts, weights, excluded, k)
    for number, row in enumerate(rows):
        scores: dict[int, float] = defaultdict(float)
        for name, ranking in zip(names, row, strict=True):
            for place, item in enumerate(ranking, start=1):
                if weights[name] and (number, item) not in out:
                    scores[item] += weights[name] / (60 + place)
        # Rounded: sums that are equal on paper may differ in their last bits.
        wanted = sorted(scores, key=lambda item: (-round(scores[item], 12), item))[:k]
        found = [item for item in lists.items[number].tolist() if item != NONE]
        assert found == wanted or [round(scores[x], 12) for x in found] == [round(scores[x], 12) for x in wanted]
        assert lists.scores[number, : len(wanted)] == pytest.approx([scores[item] for item in found])


def test_a_product_that_is_not_available_is_in_no_list() -> None:
    available = np.array([True, True, True, False, True])
    excluded = Exclusions.of(np.array([0]), np.array([1]), available)
    assert blend(PARTS, {"a": 1.0, "b": 2.0}, excluded, 5).items.tolist() == [[4, 2, NONE, NONE, NONE]]
    assert excluded.first_allowed(PARTS["a"], 3).tolist() == [[2, NONE, NONE]]


def test_saved_and_loaded_ranks_the_same(tmp_path: Path) -> None:
    ReciprocalRank({"a": 1.0, "b": 2.5}, 7).save(tmp_path)
    found = ReciprocalRank.load(tmp_path, block_catalogue(), ("a", "b"))
    assert found == ReciprocalRank({"a": 1.0, "b": 2.5}, 7)


def test_a_generator_that_leads_comes_first_and_the_others_fill_up(tmp_path: Path) -> None:
    """Of b's places the third is a's first; in visits without a session nobody leads."""
    parts = {"a": ranked([1, 2, 3], [1, 2, 3]), "b": ranked([5, 4, 1], [5, 4, 1])}
    ranker = ReciprocalRank({"a": 3.0, "b": 1.0}, 5).led("b", "")
    lists = ranker.rank(Pool.of(parts, NOTHING), visits([[9], []]), 5)
    assert lists.items.tolist() == [[5, 4, 1, 2, 3], [1, 2, 3, 5, 4]]
    assert lists.sources.tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]
    ranker.save(tmp_path)
    assert ReciprocalRank.load(tmp_path, block_catalogue(), ("a", "b")) == ranker


@settings(deadline=None)
@given(RANKING, RANKING, st.integers(0, 3), st.integers(1, 3))
def test_the_order_of_what_leads_is_kept_whatever_the_weights(one: list[int], two: list[int], a: int, b: int) -> None:
    ranker = ReciprocalRank({"a": float(a), "b": float(b)}, 5).led("a", "a")
    pool = Pool.of({"a": ranked(one or [NONE]), "b": ranked(two or [NONE])}, NOTHING)
    expected = one + [item for item in two if item not in one]
    found = ranker.rank(pool, visits([[]]), 10).items[0]
    assert found[found != NONE].tolist() == expected


def test_without_one_that_leads_an_older_program_can_open_it(tmp_path: Path) -> None:
    ReciprocalRank({"a": 1.0}, 7).save(tmp_path)
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"weights": {"a": 1.0}, "offset": 7}
