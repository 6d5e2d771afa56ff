"""What each generator computes, by hand: popularity's levels, co-visitation's cosine, the choice of ALS engine."""

from dataclasses import replace
from math import log1p, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix

from app.core.duck import Connection
from app.core.settings import Settings
from app.learn.als import choose_engine
from app.learn.covisitation import SHRINKAGE, session_roots, similarities
from app.learn.part_rows import PartRows
from app.learn.popularity import SEGMENT_PRIOR, popular_products, segment_interest
from app.serve.generators.als import ImplicitALS
from app.serve.generators.covisitation import RECENCY, CoVisitation
from app.serve.generators.item_graph import ItemGraph
from app.serve.generators.popularity import Popularity
from app.serve.loops import IN_SIGHT
from app.serve.ragged import NONE
from app.serve.visits import Visits
from tests.arrays import visits
from tests.handmade import by_key, relation
from tests.learn.tables import store_touches


@pytest.mark.parametrize(
    ("settings", "pairs", "engine"),
    [
        ({}, 50_000_000, "implicit"),
        ({}, 50_000_001, "spark"),
        ({"als_max_pairs": 10}, 11, "spark"),
        ({"als_nonnegative": True}, 1, "spark"),  # only Spark's can
        ({"als_engine": "implicit", "als_max_pairs": 10}, 11, "implicit"),
        ({"als_engine": "spark"}, 1, "spark"),
    ],
)
def test_als_engine_by_size_or_by_setting(settings: dict[str, Any], pairs: int, engine: str) -> None:
    assert choose_engine(Settings(**settings), pairs) == engine


def test_nonnegative_als_is_off_by_default() -> None:
    """Four times slower."""
    assert not Settings().als_nonnegative


@pytest.fixture(scope="module")
def similar(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], float]:
    sessions = [
        ([1, 2], [1.0, 4.0]),
        ([3, 2, 1], [9.0, 1.0, 1.0]),
        ([1], [2.0]),  # makes 1 more common, and so less telling
        ([4, 5], [0.0, 1.0]),
    ]
    return learned(spark, tmp_path_factory.mktemp("similar"), sessions, 50)


def learned(
    spark: SparkSession, folder: Path, sessions: list[tuple[list[int], list[float]]], neighbours: int
) -> dict[tuple[int, int], float]:
    """Similarities of products, from sessions in two parts."""
    rows = [(user, str(user), *session, [0.0] * len(session[0])) for user, session in enumerate(sessions)]
    touches, ids = folder / "touches", np.arange(1, 6)
    store_touches(touches, rows)
    stored = PartRows.write(spark, 2, lambda part: session_roots(part.read(touches)), ids, folder / "sessions")
    found = similarities(stored.common, stored.squares(), None, neighbours)()(np.arange(5)).tocoo()
    return {
        (int(ids[one]), int(ids[other])): value
        for one, other, value in zip(found.row, found.col, found.data, strict=True)
    }


def test_covisitation_is_the_shrunk_weighted_cosine(similar: dict[tuple[int, int], float]) -> None:
    """Sum of sqrt(rating * rating) over shared sessions / (sqrt(norm * norm) + shrinkage).

    Norms are sums of ratings: 1 + 1 + 2 of product 1, 4 + 1 of 2, 9 of 3.
    """
    assert SHRINKAGE == 5
    assert similar[1, 2] == pytest.approx((sqrt(1 * 4) + sqrt(1 * 1)) / (sqrt(4 * 5) + 5))
    assert similar[1, 3] == pytest.approx(sqrt(1 * 9) / (sqrt(4 * 9) + 5))
    assert similar[2, 3] == pytest.approx(sqrt(1 * 9) / (sqrt(5 * 9) + 5))


def test_covisitation_is_symmetric_and_without_self(similar: dict[tuple[int, int], float]) -> None:
    assert all(similar[other, product] == value for (product, other), value in similar.items())
    assert all(product != other for product, other in similar)
    assert {key for key in similar if similar[key] > 0} == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b}


def test_covisitation_keeps_the_nearest(spark: SparkSession, tmp_path: Path) -> None:
    sessions = [([1, 2], [1.0, 4.0]), ([3, 2, 1], [9.0, 1.0, 1.0]), ([1], [2.0])]
    assert set(learned(spark, tmp_path, sessions, 1)) == {(1, 2), (2, 1), (3, 1)}


def test_covisitation_adds_up_over_the_session_with_recency() -> None:
    neighbours = np.array([[1, 2], [2, NONE], [0, NONE], [NONE, NONE]], np.int32)
    similarities = np.array([[0.5, 0.25], [0.4, 0], [0.3, 0], [0, 0]], np.float32)
    asked = visits([[0, 1, 3]], weights=[[1.0, 3.0, 10.0]])
    model = CoVisitation(neighbours, similarities)
    found = model.candidates(asked, 4)
    assert RECENCY == 0.8
    older, old = 0.8**2 * log1p(1), 0.8 * log1p(3)
    assert found.items.tolist() == [[2, 1, NONE, NONE]]
    assert found.scores[0] == pytest.approx([0.25 * older + 0.4 * old, 0.5 * older, 0, 0])
    reasons = model.because(asked, np.array([0, 0, 0]), np.array([2, 1, 3], np.int32))
    assert reasons.tolist() == [1, 0, NONE]  # 2 follows 1 more than 0, 1 follows 0 alone, 3 follows nothing


def test_als_reason_is_the_touched_product_with_the_most_like_factors() -> None:
    factors = np.array([[1, 0], [0, 1], [2, 0], [-1, 0]], np.float32)
    model = ImplicitALS.of(np.ones((1, 2), np.float32), factors, 0.1, 1.0)
    asked = visits([[0, 1, 2], [3]], weights=[[3.0, 1.0, 1.0], [1.0]])
    reasons = model.because(asked, np.array([0, 0, 1]), np.array([2, 1, 0], np.int32))
    assert reasons.tolist() == [0, 1, NONE]  # 3 x 1 x 2 beats 1 x 2 x 2; what points the other way speaks for nothing


def test_item_graph_reason_is_the_touched_product_with_the_most_of_both_parts() -> None:
    """Of the first visit 0 gives 2 a score of 0.5 + 0.1 x 1, 1 gives it 0.2 + 1 x 1; the second is not asked about."""
    near = csr_matrix(np.array([[0, 0, 0.5, 0.9], [0, 0, 0.2, 0.1], [0, 0, 0, 0], [0, 0, 0.4, 0]], np.float32))
    inward, outward = (np.array([column], np.float32).T for column in ([0.1, 1, 0, 0.3], [0, 0, 1, 0.2]))
    asked = visits([[0, 1], [2, 1], [3, 0]])
    reasons = ItemGraph(near, inward, outward).because(asked, np.array([0, 0, 2]), np.array([2, 3, 2], np.int32))
    assert reasons.tolist() == [1, 0, 3]  # 0.9 + 0.1 x 0.2 beats 0.1 + 1 x 0.2; 0.4 + 0.3 x 1 beats 0.5 + 0.1 x 1


def test_als_looks_no_further_than_the_best_can_lie() -> None:
    """The longest factors come first: what is too short to be among the best is not looked at, even if it is broken."""
    rng = np.random.default_rng(1)
    users, products = rng.normal(size=(40, 6)), rng.normal(size=(5_000, 6)) * rng.pareto(2, (5_000, 1))
    model = ImplicitALS.of(users.astype(np.float32), products.astype(np.float32), 0.1, 1.0)
    scores = users @ products.T
    fifth = -np.sort(-scores, axis=1)[:, 4]
    far = (np.outer(np.linalg.norm(users, axis=1), model.lengths) > fifth[:, None]).sum(axis=1).max() + IN_SIGHT
    assert far < 2_500
    model.item_factors[far:] = 1_000
    found = model.candidates(visits([[]] * 40, users=list(range(40)), fresh=False), 5)
    assert found.items.tolist() == np.argsort(-scores, axis=1)[:, :5].tolist()
    assert found.scores == pytest.approx(-np.sort(-scores, axis=1)[:, :5], rel=1e-5)


@pytest.mark.parametrize(("products", "k"), [(3, 5), (40, 5), (500, 5), (2_001, 1), (2_001, 60), (700, 300)])
def test_als_finds_what_a_look_at_all_products_finds(products: int, k: int) -> None:
    """Also where few products have a score above 0, and where a list is longer than a block."""
    rng = np.random.default_rng(products + k)
    users, factors = rng.normal(size=(30, 4)) + 0.5, rng.normal(size=(products, 4)) * rng.pareto(1, (products, 1))
    model = ImplicitALS.of(users.astype(np.float32), factors.astype(np.float32), 0.1, 1.0)
    found = model.candidates(visits([[]] * 30, users=list(range(30)), fresh=False), k)
    scores = users @ factors.T
    order = np.argsort(-scores, axis=1)[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    order, best = (np.pad(each, ((0, 0), (0, k - each.shape[1]))) for each in (order, best))
    assert found.items.tolist() == np.where(best > 0, order, NONE).tolist()
    assert found.scores == pytest.approx(np.maximum(best, 0), rel=1e-4)


def test_popular_products_by_segment_and_category(duck: Connection) -> None:
    pairs = [(1, 10, 4.0), (2, 10, 1.0), (3, 10, 2.0), (1, 20, 3.0), (3, 30, 9.0), (4, 30, 0.0), (4, 40, 0.0)]
    known = relation(duck, [(1, 0), (2, 0), (3, 1)], "user_id bigint, segment_id int")  # of 4 nothing is known
    interest = segment_interest(relation(duck, pairs, "user_id bigint, product_id bigint, decayed double"), known)
    categories = relation(duck, [(10, 0), (20, 1), (30, 1), (40, 1)], "product_id bigint, category int")
    found = popular_products(interest, categories, n=2)
    scores = {key: row["score"] for key, row in by_key(found, "segment", "category", "product_id").items()}
    assert SEGMENT_PRIOR == 0.2
    of_10, of_20, of_30 = 7, 3, 9  # of everyone
    assert scores == {
        (0, 0, 10): 5 + 0.2 * of_10,
        (0, 1, 20): pytest.approx(3 + 0.2 * of_20),
        (0, NONE, 10): 5 + 0.2 * of_10,
        (0, NONE, 20): pytest.approx(3 + 0.2 * of_20),
        (1, 0, 10): pytest.approx(2 + 0.2 * of_10),
        (1, 1, 30): pytest.approx(9 + 0.2 * of_30),
        (1, NONE, 30): pytest.approx(9 + 0.2 * of_30),
        (1, NONE, 10): pytest.approx(2 + 0.2 * of_10),
        (NONE, 0, 10): of_10,
        (NONE, 1, 30): of_30,
        (NONE, 1, 20): of_20,
        (NONE, NONE, 30): of_30,
        (NONE, NONE, 10): of_10,  # the two best of three
    }


@pytest.fixture
def popularity() -> Popularity:
    """Products 0-3 of category 0, 4-7 of 1, 8-9 of 2. Segment 0 likes 3 and 9; of segment 1 nothing is known."""
    lists = np.full((3, 4, 10), NONE, np.int32)
    cells = {
        (0, 0): [3],
        (0, 2): [9],
        (0, 3): [9, 3],
        (2, 0): [0, 1, 2, 3],
        (2, 1): [4, 5, 6, 7],
        (2, 2): [8, 9],
        (2, 3): [8, 0, 4, 1, 5, 2, 6, 3, 7, 9],
    }
    for cell, products in cells.items():
        lists[cell][: len(products)] = products
    scores = np.where(lists == NONE, 0, np.linspace(1, 0.1, 10)).astype(np.float32)
    return Popularity(lists, scores, np.array([0] * 4 + [1] * 4 + [2] * 2, np.int32))


def answer(popularity: Popularity, asked: Visits, segment: int, k: int = 10) -> list[int]:
    return popularity.candidates(replace(asked, segments=np.array([segment], np.int32)), k).items[0].tolist()


def test_popularity_falls_back_level_by_level(popularity: Popularity) -> None:
    """Segment and category, then the category of everyone, then the segment, then everyone."""
    assert answer(popularity, visits([[1]]), segment=0) == [3, 0, 1, 2, 9, 8, 4, 5, 6, 7]


def test_popularity_of_an_unknown_segment_or_one_without_data(popularity: Popularity) -> None:
    expected = [4, 5, 6, 7, 8, 0, 1, 2, 3, 9]
    assert answer(popularity, visits([[5]]), segment=NONE) == expected
    assert answer(popularity, visits([[5]]), segment=1) == expected


def test_popularity_without_a_session_is_the_segments_then_everyones(popularity: Popularity) -> None:
    assert answer(popularity, visits([[]]), segment=0, k=4) == [9, 3, 8, 0]
    assert answer(popularity, visits([[]]), segment=NONE, k=4) == [8, 0, 4, 1]


def test_popularity_weighs_categories_by_interest(popularity: Popularity) -> None:
    mostly_zero = visits([[4, 0, 1]], weights=[[1.0, 3.0, 3.0]])
    assert answer(popularity, mostly_zero, segment=NONE, k=3) == [0, 1, 2]
    mostly_one = visits([[0, 4, 5]], weights=[[1.0, 3.0, 3.0]])
    assert answer(popularity, mostly_one, segment=NONE, k=3) == [4, 5, 6]


def test_popularity_looks_at_three_categories_at_most() -> None:
    lists = np.full((1, 5, 5), NONE, np.int32)
    for category in range(4):
        lists[0, category, 0] = category
    lists[0, 4, :] = [4, 0, 1, 2, 3]
    scores = np.where(lists == NONE, 0, 1).astype(np.float32)
    one = Popularity(lists, scores, np.array([0, 1, 2, 3, 3], np.int32))
    asked = visits([[0, 1, 2, 3]], weights=[[1.0, 5.0, 5.0, 5.0]])
    assert one.candidates(asked, 4).items.tolist() == [[3, 2, 1, 0]]
    assert one.candidates(asked, 4).scores[0, 3] < 1e-3  # category 0 was left out: it is only filling


def test_popularity_everyone_is_padded(popularity: Popularity) -> None:
    best = popularity.everyone(2, 12)
    assert best.items.tolist() == [[8, 0, 4, 1, 5, 2, 6, 3, 7, 9, NONE, NONE]] * 2
    assert (best.scores[:, 10:] == 0).all()
