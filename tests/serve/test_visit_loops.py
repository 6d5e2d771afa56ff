"""What visits touched, brought together by loops, against the same thing written naively."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events.vocabulary import KINDS, PURCHASE
from app.serve import visit_loops
from app.serve.ragged import NONE, Ragged, unpack_keys
from app.serve.sessions import folded
from app.serve.visits import Touches

Touch = tuple[int, int, float, float]  #: product, kind, weight, time
#: Weights in quarters, so that sums are exact; few products and times, so that many are equal.
TOUCH = st.tuples(
    st.integers(0, 5), st.integers(0, 3), st.integers(-2, 20).map(lambda n: n / 4), st.integers(0, 4).map(float)
)
VISITS = st.lists(st.lists(TOUCH, max_size=7), max_size=4)


def touches(visits: Iterable[Iterable[Touch]]) -> Touches:
    """A list of touches for each visit."""
    lists = [list(visit) for visit in visits]
    columns = [*zip(*(touch for visit in lists for touch in visit), strict=True)] or [()] * 4
    kinds = (np.int64, np.int8, np.float32, np.float64)
    return Touches(
        Ragged.of_lengths(np.array([len(visit) for visit in lists], np.int64)),
        *(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)),
    )


def lists(shape: Ragged, *columns: Any) -> list[list[Touch]]:
    """The touches of each visit."""
    rows = [*zip(*(column.tolist() for column in columns), strict=True)]
    assert len(rows) == shape.offsets[-1]
    return [rows[first:end] for first, end in zip(shape.offsets, shape.offsets[1:], strict=False)]


def fold(visit: list[Touch]) -> list[Touch]:
    """Each product once, in the order of its last touch."""
    found = []
    for product in sorted({touch[0] for touch in visit}):
        _, kinds, weights, times = zip(*(touch for touch in visit if touch[0] == product), strict=True)
        found.append((product, max(kinds), min(sum(weights), 10.0), max(times)))
    return sorted(found, key=lambda touch: (touch[3], touch[0]))


def test_a_product_that_comes_again_stands_by_its_last_touch() -> None:
    found = folded(touches([[(7, 0, 1.0, 1.0), (3, 1, 3.0, 2.0), (7, 2, 9.5, 3.0)], []]))
    assert lists(found.shape, *found.arrays[1:]) == [[(3, 1, 3.0, 2.0), (7, 2, 10.0, 3.0)], []]


@given(VISITS)
@settings(deadline=None)
def test_touches_are_folded(visits: list[list[Touch]]) -> None:
    found = folded(touches(visits))
    assert lists(found.shape, *found.arrays[1:]) == [fold(visit) for visit in visits]


@given(VISITS, st.integers(1, 3), st.data())
@settings(deadline=None)
def test_parts_are_folded_to_their_latest_products(visits: list[list[Touch]], latest: int, data: st.DataObject) -> None:
    """Parts may overlap, as the beginnings of one session do."""
    whole = touches(visits)
    flat = [touch for visit in visits for touch in visit]
    ends = data.draw(st.lists(st.integers(0, len(flat)), max_size=4))
    starts = [data.draw(st.integers(0, end)) for end in ends]
    given_values = (whole.products, whole.kinds, whole.weights, whole.times)
    offsets, *values = visit_loops.folded(
        np.array(starts, np.int64), np.array(ends, np.int64), *given_values, 10.0, latest
    )
    wanted = [fold(flat[start:end])[-latest:] for start, end in zip(starts, ends, strict=True)]
    assert lists(Ragged(offsets), *values) == wanted


@given(VISITS, st.data())
@settings(deadline=None)
def test_touches_of_users_by_their_rows(visits: list[list[Touch]], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(NONE, len(visits) - 1), max_size=6))
    remembered = touches(visits)
    products = remembered.products.astype(np.int32)
    offsets, *values = visit_loops.of_users(
        np.array(wanted, np.int64), remembered.shape.offsets, products, *remembered.arrays[2:]
    )
    assert lists(Ragged(offsets), *values) == [[] if user == NONE else visits[user] for user in wanted]


@given(st.lists(st.tuples(st.lists(TOUCH, max_size=5), st.lists(TOUCH, max_size=5)), max_size=4))
@settings(deadline=None)
def test_what_comes_again_stands_where_it_came_last(pairs: list[tuple[list[Touch], list[Touch]]]) -> None:
    first, then = touches(one for one, _ in pairs), touches(other for _, other in pairs)
    offsets, *values = visit_loops.followed(*first.arrays, *then.arrays)
    wanted = [[touch for touch in one if touch[0] not in {each[0] for each in other}] + other for one, other in pairs]
    assert lists(Ragged(offsets), *values) == wanted


def test_what_is_on_screen_and_what_was_bought() -> None:
    bought = KINDS.index(PURCHASE)
    session = touches([[(4, bought, 9.0, 0.0), (5, 0, 1.0, 1.0)], [], [(6, bought, 9.0, 0.0)]])
    on_screen = np.array([5, NONE, NONE], np.int32)
    rows, items = unpack_keys(visit_loops.seen(on_screen, *session.arrays[:3], bought))
    assert sorted(zip(rows.tolist(), items.tolist(), strict=True)) == [(0, 4), (0, 5), (2, 6)]


def test_levels_of_popularity() -> None:
    """Two of three segments, and everyone, in two of four categories, and in the whole shop."""
    interest = np.array([[3, 1], [0, 0]], np.float32)
    categories = np.array([[1, 3], [NONE, NONE]], np.int32)
    offsets, cells, weights = visit_loops.levels(np.array([2, 0]), categories, interest, 3, 4, 0.1)
    assert offsets.tolist() == [0, 6, 8]
    assert cells.tolist() == [2 * 5 + 1, 2 * 5 + 3, 3 * 5 + 1, 3 * 5 + 3, 2 * 5 + 4, 3 * 5 + 4, 4, 3 * 5 + 4]
    assert np.allclose(weights, [0.75, 0.25, 0.075, 0.025, 0.01, 0.001, 0.01, 0.001])
