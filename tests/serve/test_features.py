"""What a learned ranker knows of a proposal, by hand."""

from math import isnan, log

import numpy as np
import pyarrow as pa
import pytest

from app.events.vocabulary import UNKNOWN
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers import ReciprocalRank
from app.serve.rankers.features import SHARED, Attributes, feature_names, features
from app.serve.visits import Touches, Visits
from tests.arrays import NOTHING

NOW = 1_000.0
NAMES = ("walk", "popular")


def attributes() -> Attributes:
    """Six products; of the last one nothing is known."""
    columns = {
        "product_id": range(6),
        "category_code": ["a.x", "a.x", "a.y", "b", "b", UNKNOWN],
        "category": ["a", "a", "a", "b", "b", UNKNOWN],
        "brand": ["acme", "zeta", "acme", UNKNOWN, UNKNOWN, UNKNOWN],
        "avg_price": [8.0, 2.0, 4.0, 0.0, 16.0, None],
        "popularity": [0.0, 1.0, 3.0, 7.0, 0.5, 0.0],
        "day_users": [0, 0, 3, 1, 0, 0],
        "day_buyers": [0, 0, 1, 0, 0, 0],
        "week_users": [0, 10, 20, 10, 0, 0],
        "week_buyers": [0, 0, 8, 2, 0, 0],
    }
    return Attributes.of(Catalogue.of(pa.table(columns)))


def visits() -> Visits:
    """A known user who remembers 4 (carted) and 0, and is now on 0 after 1; then a stranger without a session."""
    history = Touches.of_lists([[(4, "cart", 3.0, NOW - 500), (0, "view", 1.0, NOW - 400)], []])
    session = Touches.of_lists([[(1, "view", 2.0, NOW - 30), (0, "purchase", 6.0, NOW - 10)], []])
    users, unknown = np.array([7, NONE], np.int32), np.full(2, NONE, np.int32)
    return Visits(users, unknown, history, session, np.array([0, NONE], np.int32), np.full(2, NOW))


def pool() -> Pool:
    parts = {
        "walk": Candidates(np.array([[2, 4, 5], [NONE] * 3], np.int32), np.array([[4, 2, 1], [0] * 3], np.float32)),
        "popular": Candidates(np.array([[1, 2], [3, 5]], np.int32), np.array([[10, 5], [10, 4]], np.float32)),
    }
    return Pool.of(parts, NOTHING)


@pytest.fixture(scope="module")
def known() -> dict[tuple[int, int], dict[str, float]]:
    """By visit and product."""
    asked = pool()
    terms = ReciprocalRank({"walk": 2.0, "popular": 1.0}, 1).terms(asked)
    found = features(asked, terms, visits(), attributes())
    assert found.dtype == np.float32
    names = feature_names(NAMES)
    assert found.shape == (6, len(names)) == (6, 4 + len(SHARED))
    rows = zip(asked.rows.tolist(), asked.items.tolist(), strict=True)
    return {of: dict(zip(names, row, strict=True)) for of, row in zip(rows, found.tolist(), strict=True)}


def test_places_and_scores_of_the_generators(known: dict) -> None:
    two = known[0, 2]
    assert (two["rank_walk"], two["rank_popular"], two["proposed_by"]) == (1, 0.5, 2)
    assert (two["score_walk"], two["score_popular"]) == (1, 0.5)
    four = known[0, 4]
    assert (four["rank_walk"], four["rank_popular"], four["proposed_by"]) == (0.5, 0, 1)
    assert (four["score_walk"], four["score_popular"]) == (0.5, 0)
    assert known[1, 5]["score_popular"] == pytest.approx(0.4), "beside the best of its own visit"


def test_reciprocal_rank_and_its_share_of_the_best(known: dict) -> None:
    best = 2 / 2 + 1 / 3
    assert known[0, 2]["reciprocal_rank"] == pytest.approx(best)
    assert known[0, 2]["reciprocal_rank_share"] == 1
    assert known[0, 4]["reciprocal_rank"] == pytest.approx(2 / 3)
    assert known[0, 4]["reciprocal_rank_share"] == pytest.approx(2 / 3 / best)


def test_touches_of_the_product_itself(known: dict) -> None:
    carted = known[0, 4]
    assert [carted[f"history_{name}"] for name in ("kind", "weight", "seconds", "age")] == [2, 3, 500, 1]
    assert all(isnan(carted[f"session_{name}"]) for name in ("kind", "weight", "seconds", "age"))
    seen = known[0, 1]
    assert [seen[f"session_{name}"] for name in ("kind", "weight", "seconds", "age")] == [1, 2, 30, 1]
    assert isnan(seen["history_kind"])


def test_price_beside_what_was_looked_at(known: dict) -> None:
    """Touched, oldest first: 4 (16.0), 1 (2.0), 0 (8.0), with weights 1/3, 1/2, 1."""
    usual = (log(16) / 3 + log(2) / 2 + log(8)) / (1 / 3 + 1 / 2 + 1)
    assert known[0, 2]["price"] == pytest.approx(log(4))
    assert known[0, 2]["price_ratio"] == pytest.approx(log(4) - usual, rel=1e-6)
    assert isnan(known[0, 5]["price"]), "no price"
    assert isnan(known[1, 3]["price"]), "a price of 0"
    assert isnan(known[0, 5]["price_ratio"])
    assert isnan(known[1, 5]["price_ratio"]), "nothing was looked at"


def test_share_of_what_was_touched_that_is_alike(known: dict) -> None:
    """Weights 1/3 (4: b), 1/2 (1: a.x, zeta), 1 (0: a.x, acme)."""
    every = 1 / 3 + 1 / 2 + 1
    two = known[0, 2]
    assert two["same_category"] == pytest.approx(1.5 / every)
    assert two["same_category_code"] == 0
    assert two["same_brand"] == pytest.approx(1 / every)
    assert known[0, 4]["same_category_code"] == pytest.approx(1 / 3 / every)
    assert known[0, 4]["same_brand"] == 0, "an unknown brand is like no other, not even itself"
    assert known[0, 5]["same_category"] == 0
    assert known[1, 3]["same_category"] == 0, "nothing was touched"


def test_of_the_product_and_the_visit(known: dict) -> None:
    assert known[1, 3]["popularity"] == pytest.approx(log(8))
    visit, stranger = known[0, 1], known[1, 3]
    assert (visit["session_length"], visit["history_length"], visit["known_user"]) == (2, 2, 1)
    assert (stranger["session_length"], stranger["history_length"], stranger["known_user"]) == (0, 0, 0)


def test_popularity_and_conversion_of_the_last_day_and_week(known: dict) -> None:
    """All users of the day bought 1 in 4, of the week 1 in 4: 20 such users are added to each product's."""
    two, three, four = known[0, 2], known[1, 3], known[0, 4]
    assert (two["popularity_day"], two["popularity_week"]) == pytest.approx((log(4), log(21)))
    assert (two["conversion_day"], two["conversion_week"]) == pytest.approx(((1 + 5) / 23, (8 + 5) / 40))
    assert (three["conversion_day"], three["conversion_week"]) == pytest.approx((5 / 21, (2 + 5) / 30))
    assert (four["popularity_day"], four["conversion_week"]) == (0, pytest.approx(0.25)), "nobody wanted it lately"


def test_an_empty_pool_has_columns_all_the_same() -> None:
    nothing = Pool.of({name: Candidates.empty(2, 3) for name in NAMES}, NOTHING)
    assert features(nothing, np.zeros((0, 2)), visits(), attributes()).shape == (0, 4 + len(SHARED))


def test_of_a_catalogue_without_words_nothing_is_alike() -> None:
    columns = {"product_id": [1], "category_code": [UNKNOWN], "category": [UNKNOWN], "brand": [UNKNOWN]}
    plain = Attributes.of(
        Catalogue.of(pa.table(columns | {"avg_price": pa.nulls(1, pa.float64()), "popularity": [0.0]}))
    )
    assert (plain.category.tolist(), plain.category_code.tolist(), plain.brand.tolist()) == ([NONE], [NONE], [NONE])
    assert np.isnan(plain.price).all()
