"""Filters: a list holds what passes alone, in the order of the generators, and is full where enough passes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.serve.contract import Candidates
from app.serve.ragged import NONE
from app.serve.recommender import Recommender
from app.serve.wanted import Wanted
from tests.arrays import visitors
from tests.stream.shop import ANNA, PRODUCTS, START, STRANGER, recommender

N = len(PRODUCTS)
NOW = START.timestamp()


def only(*passing: NDArray[np.bool_]) -> Wanted:
    return Wanted(np.array(passing), np.arange(len(passing)))


def positions(*wanted: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(N), wanted)


def listed(model: Recommender, user: int, session: list[int], wanted: Wanted, k: int = 5) -> list[int]:
    answer = model.recommend(visitors([user], [session], NOW), k, wanted)
    return answer.lists.items[0].tolist()


def test_the_first_candidates_that_pass_stay_in_their_order() -> None:
    part = Candidates(np.array([[4, 2, 9, 1], [3, NONE, NONE, NONE]], np.int32), np.ones((2, 4), np.float32))
    narrowed = only(positions(1, 2, 9), positions(4)).narrowed(part, 2)
    assert narrowed.items.tolist() == [[2, 9], [NONE, NONE]]
    assert narrowed.scores.tolist() == [[1, 1], [0, 0]]


def test_a_filter_that_all_pass_changes_nothing() -> None:
    asked = visitors([ANNA, STRANGER], [[100, 105], [120]], NOW)
    free = recommender().recommend(asked, 10)
    all_pass = recommender().recommend(asked, 10, Wanted(np.ones((1, N), np.bool_), np.zeros(2, np.intp)))
    assert free.lists.items.tolist() == all_pass.lists.items.tolist()
    assert free.lists.scores.tolist() == all_pass.lists.scores.tolist()


def test_generators_propose_from_what_passes_and_the_rest_is_filled_by_popularity() -> None:
    # Product 0 is seen with 1 to 5; of these 3 and 5 pass. 7 and 20 are popular in this order.
    assert listed(recommender(), STRANGER, [100], only(positions(3, 5, 7, 20)), 4) == [3, 5, 7, 20]


def test_what_no_generator_proposes_is_put_down_to_popularity_without_a_score() -> None:
    model = recommender()
    lists = model.generators["popularity"].lists  # type: ignore[attr-defined]
    lists[lists > 20] = NONE
    answer = model.recommend(visitors([STRANGER], [[]], NOW), 4, only(positions(20, 29, 25)))
    assert answer.lists.items.tolist() == [[20, 25, 29, NONE]]
    assert answer.lists.sources.tolist() == [[1, 1, 1, NONE]]
    assert answer.lists.scores[0].tolist()[1:] == [0, 0, 0]


def test_exclusions_hold_under_a_filter() -> None:
    # Anna bought 3 the day before; 0 is on screen.
    assert listed(recommender(), ANNA, [100], only(positions(0, 3, 4))) == [4, NONE, NONE, NONE, NONE]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, N - 1), max_size=N), st.lists(st.integers(0, N - 1), max_size=4), st.integers(1, 12))
def test_a_list_is_full_wherever_enough_passes(passing: list[int], session: list[int], k: int) -> None:
    wanted = only(positions(*passing))
    found = listed(recommender(), ANNA, [100 + item for item in session], wanted, k)
    products = [item for item in found if item != NONE]
    may = set(passing) - {3} - set(session[-1:])
    assert len(products) == len(set(products)) == min(k, len(may))
    assert set(products) <= may
