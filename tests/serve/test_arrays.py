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

from app.serve.catalogue import Catalogue, positions
from app.serve.contract import NONE, Batch, top_per_row
from app.serve.users import UserTable, ragged

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


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6), st.data())
def test_ragged_lists(lists: list[list[int]], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(NONE, len(lists) - 1), max_size=8))
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    flat = np.array([x for one in lists for x in one], np.int64)
    rows, entries = ragged(offsets, np.array(wanted, np.int32))
    found = list(zip(rows.tolist(), flat[entries].tolist(), strict=True))
    assert found == [(row, x) for row, one in enumerate(wanted) if one != NONE for x in lists[one]]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6), st.data())
def test_batch_rows_ages_and_slices(lists: list[list[int]], data: st.DataObject) -> None:
    n = len(lists)
    batch = Batch(
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.int32),
        np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64),
        np.array([x for one in lists for x in one], np.int32),
        np.array([x / 2 for one in lists for x in one], np.float32),
        np.zeros(n, np.bool_),
    )
    assert batch.rows().tolist() == [row for row, one in enumerate(lists) for _ in one]
    assert batch.age().tolist() == [age for one in lists for age in reversed(range(len(one)))]
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    part = batch.slice(start, stop)
    assert part.users.tolist() == list(range(start, stop))
    assert [part.items[a:b].tolist() for a, b in zip(part.offsets, part.offsets[1:], strict=False)] == lists[start:stop]
    assert part.offsets[0] == 0


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
        "segment_id": pa.array([2, None, 0], pa.int32()),
        "product_ids": pa.array([[30, 99], [10], []], pa.list_(pa.int64())),
        "ratings": pa.array([[1, 2], [3], []], pa.list_(pa.float32())),
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
    made = UserTable.read(tmp_path / "in", catalogue())
    (tmp_path / "out").mkdir()
    made.save(tmp_path / "out")
    return UserTable.load(tmp_path / "out")


def test_user_table_is_sorted_with_its_lists(users: UserTable) -> None:
    assert users.ids.tolist() == [5, 7, 9]
    assert users.segments.tolist() == [NONE, 2, 0]
    assert users.history_offsets.tolist() == [0, 1, 3, 3]
    assert users.history_items.tolist() == [0, 2, NONE]  # 99 is not in the catalogue
    assert users.history_weights.tolist() == [3, 1, 2]
    assert users.positions(np.array([9, 6, 5])).tolist() == [2, NONE, 0]


def test_bought_since_a_moment_of_each_row(users: UserTable) -> None:
    who = np.array([2, NONE, 0, 0], np.int32)
    rows, items = users.bought_since(who, np.array([3000.0, 0, 1500, 0]))
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == [(0, 2), (2, 1), (3, 0), (3, 1)]
