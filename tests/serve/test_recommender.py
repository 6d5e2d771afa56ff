"""From visits to lists: history and session together, and what must never be in a list."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from pyspark.sql.pandas.types import to_arrow_schema

from app.serve.catalogue import Catalogue
from app.serve.contract import NONE, Batch, Candidates
from app.serve.generators.covisitation import CoVisitation
from app.serve.generators.popularity import Popularity
from app.serve.lists import ARROW_SCHEMA, LIST_SCHEMA, list_table, write_csv
from app.serve.recommender import SECONDS_PER_DAY, Recommender, Visits
from app.serve.users import UserTable

PRODUCTS = np.arange(100, 112)  # twelve products; even positions are of category a, odd ones of b
ANNA, BEN, STRANGER = 5, 7, 999
NOW = 100 * SECONDS_PER_DAY


def catalogue() -> Catalogue:
    n = len(PRODUCTS)
    columns = {
        "product_id": PRODUCTS,
        "category_code": ["a.x", "b.y"] * (n // 2),
        "category": ["a", "b"] * (n // 2),
        "brand": [f"brand{number}" for number in range(n)],
        "avg_price": [None, *(float(number) for number in range(1, n))],
        "popularity": np.arange(n, 0, -1).astype(float),
    }
    return Catalogue.of(pa.table(columns))


def users() -> UserTable:
    """Anna looked at 100, 101, 102 and bought 103 (10 days ago) and 104 (40 days ago); Ben did nothing."""
    return UserTable(
        ids=np.array([ANNA, BEN]),
        segments=np.array([0, NONE], np.int32),
        history_offsets=np.array([0, 3, 3]),
        history_items=np.array([0, 1, 2], np.int32),
        history_weights=np.array([1, 2, 3], np.float32),
        bought_offsets=np.array([0, 2, 2]),
        bought_items=np.array([3, 4], np.int32),
        bought_at=np.array([NOW - 10 * SECONDS_PER_DAY, NOW - 40 * SECONDS_PER_DAY]),
    )


def popularity() -> Popularity:
    """Everyone: 0, 1, 2, … in all; by category likewise. Nothing is known of segments."""
    n = len(PRODUCTS)
    lists = np.full((2, 3, n), NONE, np.int32)
    lists[1, 0, : n // 2], lists[1, 1, : n // 2] = range(0, n, 2), range(1, n, 2)
    lists[1, 2] = range(n)
    scores = np.where(lists == NONE, 0, np.linspace(1, 0.1, n)).astype(np.float32)
    return Popularity(lists, scores, catalogue().category)


def neighbours() -> CoVisitation:
    """Each product is followed by the next one."""
    n = len(PRODUCTS)
    return CoVisitation(((np.arange(n) + 1) % n)[:, None].astype(np.int32), np.ones((n, 1), np.float32))


@pytest.fixture
def recommender() -> Recommender:
    generators: dict[str, Any] = {"covisitation": neighbours(), "popularity": popularity()}
    weights = {"covisitation": 1.0, "popularity": 0.3}
    return Recommender(catalogue(), users(), generators, weights, candidates=50, bought_days=30)


def visit(user: int, *touched: int, bought: tuple[int, ...] = ()) -> Visits:
    ratings = [[float(10 + place) for place in range(len(touched))]]
    return Visits.of_lists(np.array([user]), [touched], ratings, [[product in bought for product in touched]])


def products(recommender: Recommender, visits: Visits, k: int = 10) -> list[int]:
    items = recommender.recommend(visits, k, NOW).lists.items[0]
    return [int(PRODUCTS[item]) for item in items if item != NONE]


def test_history_comes_before_the_session(recommender: Recommender) -> None:
    batch = recommender.batch(visit(ANNA, 105, 106))
    assert batch.items.tolist() == [0, 1, 2, 5, 6]
    assert batch.weights.tolist() == [1, 2, 3, 10, 11]
    assert (batch.users.tolist(), batch.segments.tolist(), batch.fresh.tolist()) == ([0], [0], [True])


def test_a_remembered_product_counts_where_the_session_has_it(recommender: Recommender) -> None:
    batch = recommender.batch(visit(ANNA, 105, 101))
    assert batch.items.tolist() == [0, 2, 5, 1]
    assert batch.weights.tolist() == [1, 3, 10, 11]


def test_products_out_of_the_catalogue_are_dropped(recommender: Recommender) -> None:
    batch = recommender.batch(visit(STRANGER, 4, 105, 4000))
    assert (batch.items.tolist(), batch.weights.tolist(), batch.users.tolist()) == ([5], [11], [NONE])
    nothing = recommender.batch(visit(ANNA, 4))
    assert nothing.fresh.tolist() == [False]  # nothing new that a model could know


def test_rows_of_a_batch_keep_to_themselves(recommender: Recommender) -> None:
    visits = Visits.of_lists(
        np.array([BEN, ANNA, STRANGER, ANNA]),
        [[], [100], [111, 110], []],
        [[], [9.0], [1.0, 2.0], []],
        [[], [False], [False, True], []],
    )
    batch = recommender.batch(visits)
    rows = [batch.items[a:b].tolist() for a, b in zip(batch.offsets, batch.offsets[1:], strict=False)]
    assert rows == [[], [1, 2, 0], [11, 10], [0, 1, 2]]
    assert batch.segments.tolist() == [NONE, 0, NONE, 0]
    assert batch.fresh.tolist() == [False, True, True, False]
    whole = recommender.recommend(visits, 5, NOW).lists.items
    for row in range(4):
        alone = recommender.recommend(visits.slice(row, row + 1), 5, NOW).lists.items
        assert alone.tolist() == [whole[row].tolist()]


def test_the_product_on_screen_is_not_recommended_but_an_earlier_one_may_be(recommender: Recommender) -> None:
    found = products(recommender, visit(STRANGER, 100, 101), k=12)
    assert 101 not in found
    assert 100 in found
    assert found[0] == 102  # what follows the product on screen


def test_what_was_bought_in_the_session_is_not_recommended(recommender: Recommender) -> None:
    assert not {100, 102} & set(products(recommender, visit(STRANGER, 100, 101, 102, bought=(100,)), k=12))


def test_bought_products_come_back_after_bought_days(recommender: Recommender) -> None:
    found = products(recommender, visit(ANNA, 110), k=12)
    assert 103 not in found  # bought 10 days ago, of 30
    assert 104 in found  # bought 40 days ago
    assert 103 in products(recommender, visit(STRANGER, 110), k=12)


def test_bought_days_count_from_the_moment_of_each_row(recommender: Recommender) -> None:
    visits = Visits.of_users(np.array([ANNA, ANNA]))
    moments = np.array([NOW, NOW + 21 * SECONDS_PER_DAY], np.float64)
    items = recommender.recommend(visits, 12, moments).lists.items
    assert [3 in row for row in items.tolist()] == [False, True]


@pytest.mark.parametrize("user", [STRANGER, BEN])
def test_cold_start_gets_k_products(recommender: Recommender, user: int) -> None:
    assert products(recommender, Visits.of_users(np.array([user])), k=10) == list(range(100, 110))


def test_an_unknown_session_is_filled_up_to_k_in_its_own_row(recommender: Recommender) -> None:
    """Where the brief falls back only when the whole batch is empty (design §8)."""
    visits = Visits.of_lists(np.array([STRANGER, STRANGER]), [[105], [1]], [[1.0], [1.0]], [[False], [False]])
    items = recommender.recommend(visits, 10, NOW).lists.items
    assert (items != NONE).all()
    assert items[0, 0] == 6
    assert items[1].tolist() == list(range(10))


def test_most_popular_is_the_same_for_all(recommender: Recommender) -> None:
    best = recommender.most_popular(3, 20)
    assert best.items[:, :12].tolist() == [list(range(12))] * 3
    assert (best.items[:, 12:] == NONE).all()


def test_no_visits(recommender: Recommender) -> None:
    assert recommender.recommend(Visits.of_users(np.empty(0, np.int64)), 10, NOW).lists.items.shape == (0, 10)


def test_saved_and_loaded_answers_the_same(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path)
    loaded = Recommender.load(tmp_path)
    assert (loaded.weights, loaded.candidates, loaded.bought_days) == ({"covisitation": 1.0, "popularity": 0.3}, 50, 30)
    visits = Visits.of_lists(np.array([ANNA, STRANGER]), [[105], [1]], [[1.0], [1.0]], [[True], [False]])
    before, after = (one.recommend(visits, 10, NOW).lists for one in (recommender, loaded))
    assert (before.items == after.items).all()
    assert (before.scores == after.scores).all()


class Recording:
    """A generator that remembers what it was asked."""

    name: ClassVar[str] = "recording"

    def __init__(self) -> None:
        self.asked: list[tuple[Batch, int]] = []

    def candidates(self, batch: Batch, k: int) -> Candidates:
        self.asked.append((batch, k))
        return Candidates.empty(len(batch), k)


def test_generators_are_asked_for_as_many_candidates_as_set() -> None:
    recording = Recording()
    generators: dict[str, Any] = {"recording": recording}
    one = Recommender(catalogue(), users(), generators, {"recording": 1.0}, candidates=37, bought_days=30)
    assert (one.recommend(visit(ANNA, 100), 10, NOW).lists.items == NONE).all()
    assert [k for _, k in recording.asked] == [37]


def test_list_table(recommender: Recommender) -> None:
    visits = Visits.of_lists(np.array([ANNA, STRANGER]), [[105], []], [[5.0], []], [[False], []])
    lists = recommender.recommend(visits, 3, NOW).lists
    at = datetime(2019, 11, 1, 8, tzinfo=UTC)
    rows = list_table(recommender, visits, lists, "v1", at).to_pylist()
    assert [(row["user_id"], row["rank"]) for row in rows] == [(ANNA, 1), (ANNA, 2), (ANNA, 3)] + [
        (STRANGER, rank) for rank in (1, 2, 3)
    ]
    assert rows[0] == {
        "user_id": ANNA,
        "product_id": 106,
        "rank": 1,
        "rec_score": pytest.approx(float(lists.scores[0, 0])),
        "recommended_category_code": "a.x",
        "main_brand": "brand6",
        "avg_price": 6.0,
        "recommendation_type": "hybrid",
        "source": "covisitation",
        "model_version": "v1",
        "generated_at": at,
    }
    popular = rows[3]
    assert (popular["product_id"], popular["avg_price"]) == (100, None)
    assert (popular["recommendation_type"], popular["source"]) == ("popular_fallback", "popularity")


def test_list_table_of_nothing_has_the_schema(recommender: Recommender) -> None:
    visits = Visits.of_users(np.empty(0, np.int64))
    table = list_table(recommender, visits, recommender.recommend(visits, 3, NOW).lists, "v1", datetime.now(UTC))
    assert (table.num_rows, table.schema) == (0, ARROW_SCHEMA)


def test_both_schemas_are_the_same() -> None:
    assert to_arrow_schema(LIST_SCHEMA, timezone="UTC").equals(ARROW_SCHEMA)


def test_csv_holds_all_files_and_replaces_the_old_one(recommender: Recommender, tmp_path: Path) -> None:
    visits = Visits.of_users(np.array([ANNA, BEN, STRANGER]))
    lists = recommender.recommend(visits, 4, NOW).lists
    table = list_table(recommender, visits, lists, "v1", datetime(2019, 11, 1, tzinfo=UTC))
    (tmp_path / "lists").mkdir()
    pq.write_table(table.slice(0, 5), tmp_path / "lists" / "a.parquet")
    pq.write_table(table.slice(5), tmp_path / "lists" / "b.parquet")
    (tmp_path / "lists" / "_SUCCESS").touch()
    target = tmp_path / "merged.csv"
    target.write_text("old")
    assert write_csv(tmp_path / "lists", target) == 12
    read = pacsv.read_csv(target)
    assert read.column_names == ARROW_SCHEMA.names
    assert read["product_id"].to_pylist() == table["product_id"].to_pylist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lists", "merged.csv"]
