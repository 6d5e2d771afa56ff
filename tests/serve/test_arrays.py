"""The array helpers that all answers rest on, against the same thing written naively."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learn.users import read_users
from app.serve.catalogue import Catalogue, positions
from app.serve.contract import top_per_row
from app.serve.ragged import NONE, Ragged, unpack_keys
from app.serve.users import UserTable

ENTRIES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 8).map(lambda n: n / 4)), max_size=40)


@given(ENTRIES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_top_per_row_adds_up_and_keeps_the_best(entries: list[Any], k: int, shuffle: Any) -> None:
    expected: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row, item, score in entries:
        expected[row][item] += score
    shuffle.shuffle(entries)
    rows, items, scores = (np.array([entry[i] for entry in entries]) for i in range(3))
    best = top_per_row(rows, items, scores, 5, k)
    assert best.items.shape == best.scores.shape == (5, k)
    for row in range(5):
        wanted = sorted(expected[row].items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        padding = k - len(wanted)
        assert best.items[row].tolist() == [item for item, _ in wanted] + [NONE] * padding
        assert best.scores[row].tolist() == [score for _, score in wanted] + [0] * padding


@given(st.lists(st.integers(-5, 20)), st.lists(st.integers(-5, 20)))
def test_positions_of_ids(ids: list[int], wanted: list[int]) -> None:
    ids = sorted(set(ids))
    found = positions(np.array(ids, np.int64), np.array(wanted, np.int64))
    assert found.tolist() == [ids.index(one) if one in ids else NONE for one in wanted]


LISTS = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6)


def flat(lists: list[list[int]]) -> tuple[Ragged, np.ndarray]:
    shape = Ragged.of_lengths(np.array([len(one) for one in lists], np.int64))
    return shape, np.array([x for one in lists for x in one], np.int64)


def nested(shape: Ragged, values: np.ndarray) -> list[list[int]]:
    assert len(values) == shape.offsets[-1]
    return [values[a:b].tolist() for a, b in zip(shape.offsets, shape.offsets[1:], strict=False)]


@given(LISTS)
def test_rows_places_and_ages(lists: list[list[int]]) -> None:
    shape, values = flat(lists)
    assert (len(shape), shape.lengths.tolist()) == (len(lists), [len(one) for one in lists])
    assert shape.rows().tolist() == [row for row, one in enumerate(lists) for _ in one]
    assert shape.places().tolist() == [place for one in lists for place in range(len(one))]
    assert shape.ages().tolist() == [age for one in lists for age in reversed(range(len(one)))]
    assert values[shape.last()].tolist() == [one[-1] for one in lists if one]
    assert Ragged.of_rows(shape.rows(), len(lists)).offsets.tolist() == shape.offsets.tolist()
    assert Ragged.of_lists(pa.array([*lists, None], pa.list_(pa.int64()))).lengths.tolist() == [*map(len, lists), 0]


@given(LISTS, st.data())
def test_taking_slicing_and_keeping(lists: list[list[int]], data: st.DataObject) -> None:
    shape, values = flat(lists)
    wanted = data.draw(st.lists(st.integers(NONE, len(lists) - 1), max_size=8))
    taken, entries = shape.take(np.array(wanted, np.int32))
    assert nested(taken, values[entries]) == [[] if row == NONE else lists[row] for row in wanted]
    start = data.draw(st.integers(0, len(lists)))
    stop = data.draw(st.integers(start, len(lists)))
    part, where = shape.slice(start, stop)
    assert nested(part, values[where]) == lists[start:stop]
    kept = values % 2 == 0
    assert nested(shape.keep(kept), values[kept]) == [[x for x in one if x % 2 == 0] for one in lists]


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=3), st.lists(st.integers(0, 9), max_size=3)), max_size=5)
)
def test_joining_row_by_row(pairs: list[tuple[list[int], list[int]]]) -> None:
    first, second = flat([one for one, _ in pairs]), flat([other for _, other in pairs])
    shape, order = first[0].joined(second[0])
    assert nested(shape, np.concatenate([first[1], second[1]])[order]) == [one + other for one, other in pairs]


def catalogue() -> Catalogue:
    rows = {
        "product_id": [30, 10, 20],
        "category_code": ["b.x", "a", "unknown"],
        "category": ["b", "a", "unknown"],
        "brand": ["z", "y", "unknown"],
        "avg_price": [3.0, None, 2.0],
        "popularity": [1.0, 2.0, 3.0],
        "extra": [0, 0, 0],
    }
    return Catalogue.of(pa.table(rows))


def test_catalogue_is_sorted_by_product_and_survives_saving(tmp_path: Path) -> None:
    made = catalogue()
    made.save(tmp_path)
    for one in (made, Catalogue.load(tmp_path)):
        assert one.product_ids.tolist() == [10, 20, 30]
        assert (one.categories, one.category.tolist()) == (["a", "b", "unknown"], [0, 2, 1])
        assert one.positions(np.array([30, 11, 10])).tolist() == [2, NONE, 0]
        assert one.take(np.array([2, 0]))["brand"].to_pylist() == ["z", "y"]


USERS = pa.table(
    {
        "user_id": [7, 5, 9],
        "user_key": pa.array(["g", "e", None]),
        "segment_id": pa.array([2, None, 0], pa.int32()),
        "product_ids": pa.array([[30, 99], [10], []], pa.list_(pa.int64())),
        "kinds": pa.array([[1, 3], [2], []], pa.list_(pa.int32())),
        "weights": pa.array([[1, 2], [3], []], pa.list_(pa.float32())),
        "times": pa.array([[100.0, 200.0], [300.0], []], pa.list_(pa.float64())),
        "bought_ids": pa.array([[], [10, 20], [30]], pa.list_(pa.int64())),
        "bought_at": pa.array([[], [1000, 2000], [3000]], pa.list_(pa.int64())),
    }
)


@pytest.fixture
def users(tmp_path: Path) -> UserTable:
    """Read from two files, then saved and loaded again."""
    (tmp_path / "in").mkdir()
    pq.write_table(USERS.slice(0, 1), tmp_path / "in" / "a.parquet")
    pq.write_table(USERS.slice(1), tmp_path / "in" / "b.parquet")
    made = read_users(tmp_path / "in", catalogue())
    (tmp_path / "out").mkdir()
    made.save(tmp_path / "out")
    return UserTable.load(tmp_path / "out")


def test_user_table_is_sorted_with_its_lists(users: UserTable) -> None:
    assert users.ids.tolist() == [5, 7, 9]
    assert users.keys is not None
    assert users.keys.to_pylist() == ["e", "g", None]
    assert users.segments.tolist() == [NONE, 2, 0]
    assert users.history.shape.lengths.tolist() == [1, 1, 0]  # 99 is not in the catalogue
    assert users.history.products.tolist() == [0, 2]
    assert users.history.kinds.tolist() == [2, 1]
    assert users.history.weights.tolist() == [3, 1]
    assert users.history.times.tolist() == [300, 100]
    assert users.positions(np.array([9, 6, 5])).tolist() == [2, NONE, 0]


def test_bought_since_a_moment_of_each_row(users: UserTable) -> None:
    who = np.array([2, NONE, 0, 0], np.int32)
    found = users.bought_since(np.arange(4), who, np.array([3000.0, 0, 1500, 0]))
    rows, items = unpack_keys(found)
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == [(0, 2), (2, 1), (3, 0), (3, 1)]
