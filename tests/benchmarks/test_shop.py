"""The benchmark on a shop's log: what it tests, and what it tells."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
import shop
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.settings import Settings
from app.evaluate.metrics import poisson_weights
from app.evaluate.names import METRICS
from app.evaluate.quality import Score
from app.events.vocabulary import KINDS
from app.learn.ranker import EXAMPLE_SCHEMA
from app.serve.ragged import NONE
from app.serve.rankers import ReciprocalRank
from app.serve.visits import Touches, Visitors
from tests.arrays import visitors
from tests.benchmarks.small_shop import small_shop
from tests.stream.shop import ANNA, PRODUCTS, START, recommender


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], dict]:
    """A day of a small synthetic shop, the last left out, ranked by what the day before it taught as well.

    By task, target and model.
    """
    folder = tmp_path_factory.mktemp("shop")
    settings = small_shop(folder)
    left_out = ("score_covisitation", "popularity_day")
    rows = shop.measure(spark, settings, folder, days=1, skip=1, ablate=True, ranker_days=1, left_out=left_out)
    return {(row["task"], row["target"], row["model"]): row for row in rows}


def test_every_model_is_asked_the_same_queries(told: dict[tuple[str, str, str], dict]) -> None:
    models = {model for task, target, model in told if (task, target) == ("session", "any")}
    alone = {"covisitation", "popularity", "most_popular", "reciprocal_rank"}
    rankers = {"lambdamart", "lambdamart without features"}
    assert models == alone | rankers | {"without covisitation", "without popularity"}
    assert len({told["session", "any", model]["queries"] for model in models}) == 1
    assert told["session", "view", "reciprocal_rank"]["queries"] <= told["session", "any", "reciprocal_rank"]["queries"]


def test_figures_have_intervals_and_a_paired_difference(told: dict[tuple[str, str, str], dict]) -> None:
    served, popular = (told["session", "any", model] for model in ("reciprocal_rank", "most_popular"))
    assert served["low"] <= served["ndcg_10"] <= served["high"]
    difference, low, high = popular["served_minus"]["ndcg_10"]
    assert difference == pytest.approx(served["ndcg_10"] - popular["ndcg_10"], abs=2e-5)
    assert 0 < low <= difference <= high, "what is sold together beats bestsellers even here"
    assert "served_minus" not in served
    assert told["session", "any", "without popularity"]["hr_10"] <= served["hr_10"]


def test_a_second_ranker_is_held_against_the_first(told: dict[tuple[str, str, str], dict]) -> None:
    whole, less = (told["session", "any", f"lambdamart{which}"] for which in ("", " without features"))
    assert less["lambdamart_minus"]["ndcg_10"][0] == pytest.approx(whole["ndcg_10"] - less["ndcg_10"], abs=2e-5)
    assert "lambdamart_minus" not in whole


def test_features_that_are_left_out_are_the_same_for_all() -> None:
    features = pa.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], pa.list_(pa.float32()))
    examples = pa.table({"query": [1, 1], "features": features})
    blind = shop.without_features(examples, ["price", "popularity", "known"], ["known", "price"])
    assert blind["features"].to_pylist() == [[0, 2, 0], [0, 5, 0]]
    assert blind["query"].to_pylist() == [1, 1]
    assert blind.schema == examples.schema


def test_features_are_known_before_anything_is_learned() -> None:
    settings = Settings(generators="als,popularity")
    assert shop.features_named("price, score_als", settings, 1) == ("price", "score_als")
    assert shop.features_named("", settings, 0) == ()
    with pytest.raises(InputError, match=r"--without-features colour: there is none; choose of rank_als, rank_pop"):
        shop.features_named("price,colour", settings, 1)
    assert shop.features_named("price", settings, None) == ("price",)
    with pytest.raises(InputError, match="with --ranker-days 0"):
        shop.features_named("price", settings, 0)


@pytest.mark.parametrize(
    ("days", "tested", "wanted", "found"),
    [(8.02, 3, None, 3), (8.02, 5, None, 2), (2.5, 1, None, 0), (1.5, 1, None, 0), (8.02, 3, 5, 5), (8.02, 3, 0, 0)],
)
def test_the_ranker_learns_from_three_days_or_as_many_as_there_are(
    days: float, tested: int, wanted: int | None, found: int
) -> None:
    """A whole day comes before them, where nothing is said."""
    assert shop.lesson_days(timedelta(days=days), tested, wanted) == found


@pytest.mark.parametrize(("tested", "wanted"), [(9, None), (8, None), (3, 5)])
def test_more_days_than_the_log_has_are_refused_in_a_line(tested: int, wanted: int | None) -> None:
    with pytest.raises(InputError, match=r"take \d days, and something must come before them; the log has 8.0"):
        shop.lesson_days(timedelta(days=8), tested, wanted)


def test_where_nothing_was_asked_reciprocal_rank_stands_for_the_ranker() -> None:
    settings = Settings(generators="covisitation,popularity")
    rankers = shop.learned(settings, recommender(), [EXAMPLE_SCHEMA.empty_table()], ("price",))
    assert {name: ranker.name for name, ranker in rankers.items()} == dict.fromkeys(
        ("lambdamart", "lambdamart without features"), "reciprocal_rank"
    )


def test_days_are_pooled_query_by_query() -> None:
    days = [poisson_weights(np.array(queries), 20) for queries in ([1, 2], [3])]
    found = {}
    for model, parts in (("reciprocal_rank", ([1.0, 0.0], [0.5])), ("other", ([0.0, 0.0], [0.0]))):
        values = [np.tile(np.array(part)[:, None], len(METRICS)) for part in parts]
        first, second = (Score.of(weights, one) for weights, one in zip(days, values, strict=True))
        found["user", model, "any"] = first + second
    other, served = shop.rows(found, "reciprocal_rank")
    assert (served["queries"], served["hr_10"], served["ndcg_10"]) == (3, 0.5, 0.5)
    assert other["served_minus"]["hr_10"][0] == 0.5


def test_new_products_are_replaced_by_chance() -> None:
    new = np.array([False, True, True, False])
    lists = np.array([[0, 1, 3, NONE]] * 100, np.int32)
    found = shop.by_chance(lists, new, np.random.default_rng(1))
    assert (np.delete(found, 1, axis=1) == np.delete(lists, 1, axis=1)).all()
    assert set(found[:, 1]) == {1, 2}


def test_the_served_order_is_the_list_that_stream_and_api_give() -> None:
    """The visit of the stream's own test (`test_stream_and_batch_agree`), as a query tells it."""
    products, weights, now = [110, 118, 107, 109], [2.0, 3.0, 5.0, 1.0], START.timestamp() + 25
    kinds = [KINDS.index(name) for name in ("view", "cart", "purchase", "view")]
    query = {
        "product_ids": [products],
        "kinds": [kinds],
        "weights": [weights],
        "times": [[now - 3, now - 2, now - 1, now]],
    }
    asked = Visitors.of(np.array([ANNA]), np.array([now]), Touches.of_table(pa.table(query)))
    model = recommender()
    served = shop.all_lists(model, asked, ablate=False)[ReciprocalRank.name]
    visit = visitors([ANNA], [products], now, [weights], [[False, False, True, False]])
    assert served[0, :10].tolist() == PRODUCTS[model.recommend(visit, 10).lists.items[0]].tolist()
    assert 107 not in served[0]
