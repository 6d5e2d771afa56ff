"""From visits to lists: history and session together, and what must never be in a list."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.exclusions import SECONDS_PER_DAY
from app.serve.generators.als import ImplicitALS
from app.serve.generators.covisitation import CoVisitation
from app.serve.generators.popularity import Popularity
from app.serve.lists import ARROW_SCHEMA, csv_rows, list_table, write_csv
from app.serve.ragged import NONE, Ragged
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Parameters, Recommender
from app.serve.users import UserTable
from app.serve.visits import OtherUsers, Visitors, Visits
from tests.arrays import touches, user_table, visitors, visits

PARAMETERS = Parameters(
    candidates=50, bought_days=30, session_max_events=100, session_max_products=20, session_idle_minutes=30
)
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
    return user_table(
        [ANNA, BEN],
        [0, NONE],
        touches([[0, 1, 2], []], [[1, 2, 3], []]),
        [[(3, NOW - 10 * SECONDS_PER_DAY), (4, NOW - 40 * SECONDS_PER_DAY)], []],
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
    ranker = ReciprocalRank({"covisitation": 1.0, "popularity": 0.3})
    return Recommender(catalogue(), users(), generators, ranker, PARAMETERS)


def visit(user: int, *touched: int, bought: tuple[int, ...] = ()) -> Visitors:
    weights = [[float(10 + place) for place in range(len(touched))]]
    return visitors([user], [touched], NOW, weights, [[product in bought for product in touched]])


def products(recommender: Recommender, who: Visitors, k: int = 10) -> list[int]:
    items = recommender.recommend(who, k).lists.items[0]
    return [int(PRODUCTS[item]) for item in items if item != NONE]


def test_history_and_session_stand_apart(recommender: Recommender) -> None:
    asked = recommender.visits(visit(ANNA, 105, 106))
    assert asked.history.products.tolist() == [0, 1, 2]
    assert asked.session.products.tolist() == [5, 6]
    assert (asked.users.tolist(), asked.segments.tolist(), asked.fresh.tolist()) == ([0], [0], [True])
    assert asked.on_screen.tolist() == [6]
    assert asked.touched.products.tolist() == [0, 1, 2, 5, 6]  # history before session
    assert asked.touched.weights.tolist() == [1, 2, 3, 10, 11]


def test_a_remembered_product_counts_where_the_session_has_it(recommender: Recommender) -> None:
    touched = recommender.visits(visit(ANNA, 105, 101)).touched
    assert touched.products.tolist() == [0, 2, 5, 1]
    assert touched.weights.tolist() == [1, 3, 10, 11]


def test_products_out_of_the_catalogue_are_dropped(recommender: Recommender) -> None:
    asked = recommender.visits(visit(STRANGER, 4, 105, 4000))
    assert (asked.session.products.tolist(), asked.session.weights.tolist()) == ([5], [11])
    assert (asked.users.tolist(), asked.on_screen.tolist()) == ([NONE], [NONE])  # what is on screen is unknown
    nothing = recommender.visits(visit(ANNA, 4))
    assert nothing.fresh.tolist() == [False]  # nothing new that a model could know


def test_rows_keep_to_themselves(recommender: Recommender) -> None:
    who = visitors(
        [BEN, ANNA, STRANGER, ANNA],
        [[], [100], [111, 110], []],
        NOW,
        [[], [9.0], [1.0, 2.0], []],
        [[], [False], [False, True], []],
    )
    asked = recommender.visits(who)
    rows = [asked.slice(row, row + 1).touched.products.tolist() for row in range(4)]
    assert rows == [[], [1, 2, 0], [11, 10], [0, 1, 2]]
    assert asked.segments.tolist() == [NONE, 0, NONE, 0]
    assert asked.fresh.tolist() == [False, True, True, False]
    whole = recommender.recommend(who, 5).lists.items
    for row in range(4):
        alone = recommender.recommend(who.slice(row, row + 1), 5).lists.items
        assert alone.tolist() == [whole[row].tolist()]


def test_threads_may_ask_one_recommender_at_once(recommender: Recommender) -> None:
    """As an API does: each gets its own answer."""
    who = [visit([ANNA, BEN, STRANGER][n % 3], 100 + n % 12, 100 + n * 5 % 12) for n in range(60)]
    alone = [recommender.recommend(one, 8) for one in who]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: recommender.recommend(one, 8), who * 3))
    for one, expected in zip(together, alone * 3, strict=True):
        assert one.lists.items.tolist() == expected.lists.items.tolist()
        assert one.because.tolist() == expected.because.tolist()


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
    moments = np.array([NOW, NOW + 21 * SECONDS_PER_DAY], np.float64)
    items = recommender.recommend(Visitors.of([ANNA, ANNA], moments), 12).lists.items
    assert [3 in row for row in items.tolist()] == [False, True]


@pytest.mark.parametrize("user", [STRANGER, BEN])
def test_cold_start_gets_k_products(recommender: Recommender, user: int) -> None:
    assert products(recommender, Visitors.of([user], NOW), k=10) == list(range(100, 110))


def test_an_unknown_session_is_filled_up_to_k_in_its_own_row(recommender: Recommender) -> None:
    """A fallback for the whole batch alone would leave the second visit without a list."""
    items = recommender.recommend(visitors([STRANGER, STRANGER], [[105], [1]], NOW), 10).lists.items
    assert (items != NONE).all()
    assert items[0, 0] == 6
    assert items[1].tolist() == list(range(10))


def test_most_popular_is_the_same_for_all(recommender: Recommender) -> None:
    best = recommender.most_popular(3)
    assert best.items.shape == (3, PARAMETERS.candidates)
    assert best.items[:, :12].tolist() == [list(range(12))] * 3
    assert (best.items[:, 12:] == NONE).all()


def test_no_visits(recommender: Recommender) -> None:
    assert recommender.recommend(Visitors.of([], NOW), 10).lists.items.shape == (0, 10)


def test_saved_and_loaded_answers_the_same(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path)
    loaded = Recommender.load(tmp_path)
    assert (loaded.ranker, loaded.parameters) == (recommender.ranker, PARAMETERS)
    who = visitors([ANNA, STRANGER], [[105], [1]], NOW, [[1.0], [1.0]], [[True], [False]])
    before, after = (one.recommend(who, 10).lists for one in (recommender, loaded))
    assert (before.items == after.items).all()
    assert (before.scores == after.scores).all()


def test_a_recommender_with_an_unknown_part_is_refused(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path)
    saved = tmp_path / "recommender.json"
    saved.write_text(saved.read_text().replace("reciprocal_rank", "crystal_ball"))
    with pytest.raises(ValueError, match="knows no crystal_ball"):
        Recommender.load(tmp_path)


class Recording:
    """A generator that remembers what it was asked."""

    name: ClassVar[str] = "recording"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def candidates(self, visits: Visits, k: int) -> Candidates:
        self.asked.append(k)
        return Candidates.empty(len(visits), k)


def test_generators_are_asked_for_as_many_candidates_as_set() -> None:
    recording = Recording()
    generators: dict[str, Any] = {"recording": recording}
    one = Recommender(
        catalogue(), users(), generators, ReciprocalRank({"recording": 1.0}), replace(PARAMETERS, candidates=37)
    )
    assert (one.recommend(visit(ANNA, 100), 10).lists.items == NONE).all()
    assert recording.asked == [37]
    with pytest.raises(LookupError, match="list for everyone"):
        one.most_popular(1)


def test_list_table(recommender: Recommender) -> None:
    who = visitors([ANNA, STRANGER], [[105], []], NOW)
    answer = recommender.recommend(who, 3)
    at = datetime(2019, 11, 1, 8, tzinfo=UTC)
    rows = list_table(recommender, who, answer, "v1", at).to_pylist()
    assert [(row["user_id"], row["rank"]) for row in rows] == [(ANNA, 1), (ANNA, 2), (ANNA, 3)] + [
        (STRANGER, rank) for rank in (1, 2, 3)
    ]
    assert rows[0] == {
        "user_id": ANNA,
        "product_id": 106,
        "rank": 1,
        "rec_score": pytest.approx(float(answer.lists.scores[0, 0])),
        "recommended_category_code": "a.x",
        "main_brand": "brand6",
        "avg_price": 6.0,
        "recommendation_type": "hybrid",
        "source": "covisitation",
        "because_product_id": 105,
        "model_version": "v1",
        "generated_at": at,
    }
    popular = rows[3]
    assert (popular["product_id"], popular["avg_price"]) == (100, None)
    assert (popular["recommendation_type"], popular["source"]) == ("popular_fallback", "popularity")
    assert popular["because_product_id"] is None


def test_list_table_of_nothing_has_the_schema(recommender: Recommender) -> None:
    nobody = Visitors.of([], NOW)
    table = list_table(recommender, nobody, recommender.recommend(nobody, 3), "v1", datetime.now(UTC))
    assert (table.num_rows, table.schema) == (0, ARROW_SCHEMA)


def test_csv_holds_all_files_and_replaces_the_old_one(recommender: Recommender, tmp_path: Path) -> None:
    who = Visitors.of([ANNA, BEN, STRANGER], NOW)
    table = list_table(recommender, who, recommender.recommend(who, 4), "v1", datetime(2019, 11, 1, tzinfo=UTC))
    parts = [tmp_path / "a.csv", tmp_path / "b.csv"]
    parts[0].write_bytes(csv_rows(table.slice(0, 5)))
    parts[1].write_bytes(csv_rows(table.slice(5)))
    target = tmp_path / "merged.csv"
    target.write_text("old")
    write_csv(parts, target)
    assert target.read_bytes() == as_by_arrow(table, head=True)
    assert ",2019-11-01 00:00:00.000000Z\n" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "merged.csv"]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('a,"\n\r. Z0é'))), st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_csv_is_as_arrow_writes_it_whatever_names_hold(names: list[str], at: datetime) -> None:
    """Times are not written by Arrow, since it takes long over zones."""
    columns: dict[str, list[Any]] = {name: [None] * len(names) for name in ARROW_SCHEMA.names}
    named = {"main_brand": names, "generated_at": [at.replace(tzinfo=UTC)] * len(names)}
    table = pa.table(columns | named, ARROW_SCHEMA)
    assert csv_rows(table) == as_by_arrow(table)
    assert csv_rows(table, head=True) == as_by_arrow(table, head=True)


def as_by_arrow(table: pa.Table, *, head: bool = False) -> bytes:
    written = BytesIO()
    pacsv.write_csv(table, written, pacsv.WriteOptions(include_header=head))
    return written.getvalue()


# --- Users who were merged ------------------------------------------------------------------------------------------


CLEO, DORA = 8, 3


def joint(*others: int, user: int = ANNA, session: Sequence[int] = ()) -> Visitors:
    return replace(visitors([BEN, user, STRANGER], [[], session, []], NOW), others=OtherUsers.of([[], others, []]))


@pytest.fixture
def merged(recommender: Recommender) -> Recommender:
    """Cleo has looked at 106 an hour before all others and at 101 after them, with a weight of 9; bought 105 lately."""
    known = touches([[0, 1, 2], [], [6, 1]], [[1, 2, 3], [], [4, 9]])
    times = np.array([0, 1, 2, -3600, 5.0])
    lately = [[(3, NOW - 10 * SECONDS_PER_DAY)], [], [(5, NOW - SECONDS_PER_DAY)]]
    table = user_table([ANNA, BEN, CLEO], [0, NONE, 1], replace(known, times=times), lately)
    return replace(recommender, users=table)


def test_the_histories_of_merged_users_are_one(merged: Recommender) -> None:
    asked = merged.visits(joint(CLEO, session=[107]))
    assert (asked.users.tolist(), asked.segments.tolist()) == ([1, 0, NONE], [NONE, 0, NONE])
    assert asked.joint.tolist() == [False, True, False]
    mine = asked.slice(1, 2)
    assert mine.history.products.tolist() == [6, 0, 2, 1]
    assert mine.history.weights.tolist() == [4, 1, 3, 10], "summed and capped, as training does"
    assert mine.history.times.tolist() == [-3600, 0, 2, 5]
    assert mine.touched.products.tolist() == [6, 0, 2, 1, 7]
    assert mine.joint.tolist() == [True]
    for row in (0, 2):
        assert asked.slice(row, row + 1).touched.products.tolist() == []
    assert merged.visits(joint(CLEO).slice(1, 2)).history.products.tolist() == [6, 0, 2, 1]


def test_what_any_of_them_bought_lately_is_in_no_list(merged: Recommender) -> None:
    assert {103, 105}.isdisjoint(listed := products(merged, joint(CLEO).slice(1, 2), 12))
    assert len(listed) == 10
    assert 103 in products(merged, joint(user=CLEO).slice(1, 2), 12)


def test_one_of_whom_only_another_is_known_is_that_user(merged: Recommender) -> None:
    """A new id that an old one was merged into, and an unknown one into an old."""
    for who in (joint(DORA, CLEO, user=STRANGER), joint(CLEO, DORA, user=STRANGER), joint(DORA, user=CLEO)):
        asked = merged.visits(who)
        assert asked.users.tolist() == [1, 2, NONE]
        assert asked.segments.tolist() == [NONE, 1, NONE]
        assert not asked.joint.any()
        assert asked.slice(1, 2).history.products.tolist() == [6, 1]
        assert products(merged, who.slice(1, 2)) == products(merged, joint(user=CLEO).slice(1, 2))
    asked = merged.visits(joint(ANNA, CLEO, user=STRANGER))
    assert (asked.users.tolist(), asked.joint.tolist()) == ([1, 0, NONE], [False, True, False])
    assert asked.slice(1, 2).history.products.tolist() == [6, 0, 2, 1]


def test_factors_of_one_do_not_answer_for_two() -> None:
    """The stored factors know Anna as she was: joint histories are folded in, as a stranger's would be."""
    dice = np.random.default_rng(0)
    als = ImplicitALS.of(
        dice.normal(size=(3, 4)).astype(np.float32), dice.normal(size=(12, 4)).astype(np.float32), 0.1, 2.0
    )
    history = [[0, 1, 2, 6]]
    alone = visits(history, users=[0], fresh=False)
    others = OtherUsers(Ragged.of_lengths(np.array([1])), np.array([2]))
    both, strange = replace(alone, others=others), visits(history, fresh=False)
    scores = [als.candidates(asked, 5).scores.tolist() for asked in (alone, both, strange)]
    assert scores[1] == scores[2] != scores[0]
