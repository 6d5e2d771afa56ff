"""The benchmark of co-visitation from other pairs: what pairs count, by hand, and what it tells."""

from collections.abc import Mapping
from datetime import timedelta
from math import exp, sqrt
from pathlib import Path

import pytest
import typed_pairs
from pyspark.sql import SparkSession
from shop_days import Day, check_length

from app.core.duck import Connection, Relation
from app.core.errors import InputError
from app.core.settings import Settings
from app.features.sessions import fold
from app.serve.generators import CoVisitation
from tests.benchmarks.small_shop import small_shop
from tests.handmade import by_key, events_relation

#: What is told, what was learned as it is shipped, and each variant.
Measured = tuple[list[dict], CoVisitation, Mapping[str, CoVisitation]]

VIEWED, CARTED, BOUGHT, TAKEN_OUT, LONE = 11, 12, 13, 14, 15
EVENTS = [
    # One user's three sessions, on three days.
    (1, VIEWED, "view", "10-01 09:00"),
    (1, TAKEN_OUT, "cart", "10-01 09:10"),
    (1, CARTED, "view", "10-01 09:15"),
    (1, CARTED, "cart", "10-01 09:30"),
    (1, LONE, "purchase", "10-02 10:15"),
    (1, CARTED, "view", "10-03 10:00"),
    (1, BOUGHT, "purchase", "10-03 10:15"),
    (1, TAKEN_OUT, "remove_from_cart", "10-03 10:20"),
]


def sums(touches: Relation, variant: str) -> dict[tuple[int, int], float]:
    found = by_key(typed_pairs.pair_sums(touches, typed_pairs.VARIANTS[variant].counts), "product", "other")
    assert all(found[other, product]["value"] == row["value"] for (product, other), row in found.items())
    return {(product, other): row["value"] for (product, other), row in found.items() if product <= other}


@pytest.fixture
def sessions(duck: Connection) -> Relation:
    return fold(events_relation(duck, EVENTS), "user_id, session_id", 200, 20)


@pytest.fixture
def users(duck: Connection) -> Relation:
    return fold(events_relation(duck, EVENTS), "user_id", 200, 20)


def test_pairs_of_sessions_by_hand(sessions: Relation) -> None:
    """The first session has a view at 0 min, a cart at 10, and what was viewed and carted (1 + 3 = 4) at 30; the second
    a purchase alone; the third a view at 0 and a purchase at 15. What is only removed from the cart there counts
    nothing."""
    pairs = [(VIEWED, TAKEN_OUT), (VIEWED, CARTED), (CARTED, TAKEN_OUT), (CARTED, BOUGHT)]
    with_itself = [(one, one) for one in (VIEWED, CARTED, BOUGHT, TAKEN_OUT, LONE)]
    for variant, together, alone in (
        ("as shipped", [sqrt(1 * 3), sqrt(1 * 4), sqrt(4 * 3), sqrt(1 * 5)], [1, 4 + 1, 5, 3, 5]),
        ("all types alike", [1, 1, 1, 1], [1, 2, 1, 1, 1]),
        ("all types alike, window of 1 h", [exp(-1 / 6), exp(-1 / 2), exp(-1 / 3), exp(-1 / 4)], [1, 2, 1, 1, 1]),
        ("all types alike, window of 15 min", [exp(-2 / 3), exp(-2), exp(-4 / 3), exp(-1)], [1, 2, 1, 1, 1]),
        ("by type", [2, 2, 3, 3], [1, 3 + 1, 5, 3, 5]),
    ):
        expected = dict(zip(pairs + with_itself, together + alone, strict=True))
        assert sums(sessions, variant) == pytest.approx(expected), variant


def test_pairs_of_a_user_by_hand(users: Relation) -> None:
    """The last touches of a user's five products, in hours: a view at 0, a purchase at 25 1/4, a cart at 49, a purchase
    at 49 1/4, and at 49 1/3 what was put into the cart and is removed. Pairs with the view fade with 1 h, others with
    24 h, the purchases with seven days."""
    expected = {
        **{(VIEWED, VIEWED): 1, (CARTED, CARTED): 3, (BOUGHT, BOUGHT): 5, (TAKEN_OUT, TAKEN_OUT): 3, (LONE, LONE): 5},
        (VIEWED, CARTED): 2 * exp(-49),
        (VIEWED, BOUGHT): 3 * exp(-49.25),
        (VIEWED, TAKEN_OUT): 2 * exp(-49 - 1 / 3),
        (VIEWED, LONE): 3 * exp(-25.25),
        (CARTED, BOUGHT): 4 * exp(-1 / 4 / 24),
        (CARTED, TAKEN_OUT): 3 * exp(-1 / 3 / 24),
        (CARTED, LONE): 4 * exp(-23.75 / 24),
        (BOUGHT, TAKEN_OUT): 4 * exp(-1 / 12 / 24),
        (BOUGHT, LONE): 5 * exp(-1 / 7),
        (TAKEN_OUT, LONE): 4 * exp(-(24 + 1 / 12) / 24),
    }
    assert sums(users, "by type, a user's, windows by type") == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.fixture(scope="module")
def measured(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """What is told of a day of a small synthetic shop, the last left out; what was learned for it, and the others."""
    folder, seen = tmp_path_factory.mktemp("typed"), []
    settings = small_shop(folder)
    variants = typed_pairs.variants

    def watched(day: Day, *others: object) -> dict[str, CoVisitation]:
        seen.append((day.recommender.generators["covisitation"], variants(day, *others)))
        return seen[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typed_pairs, "variants", watched)
        told = typed_pairs.measure(spark, settings, folder, days=1, skip=1)
    ((shipped, others),) = seen
    assert isinstance(shipped, CoVisitation)
    return told, shipped, others


def test_the_pairs_as_shipped_give_what_a_training_learns(measured: Measured) -> None:
    _, learned, others = measured
    counted = others["as shipped"]
    assert (learned.similarities > 0).any()
    assert (counted.neighbours == learned.neighbours).all()
    assert counted.similarities == pytest.approx(learned.similarities, rel=1e-6)
    rest = [other for other in others.values() if other is not counted]
    assert all((other.similarities != counted.similarities).any() for other in rest)


def test_every_variant_is_asked_the_same_and_held_against_the_shipped(measured: Measured) -> None:
    told = {(row["task"], row["target"], row["model"], row["variant"]): row for row in measured[0]}
    assert len(told) == len(measured[0])
    for (*asked, _), row in told.items():
        shipped = told[*asked, "as shipped"]
        assert row["queries"] == shipped["queries"]
        assert row["minus_shipped"] == pytest.approx(row["ndcg_10"] - shipped["ndcg_10"], abs=2e-5)
        assert row["low"] <= row["minus_shipped"] <= row["high"]
    of_sessions = {variant: row for (*asked, variant), row in told.items() if asked == ["session", "any", "alone"]}
    assert set(of_sessions) == set(typed_pairs.VARIANTS)
    assert len({row["ndcg_10"] for row in of_sessions.values()}) > 3
    assert {(task, model) for task, _, model, _ in told} == {
        (task, model) for task in ("session", "user") for model in ("alone", "served")
    }


def test_what_cannot_be_measured_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs covisitation, which is replaced"):
        typed_pairs.measure(spark, Settings(events="none.csv", generators="popularity"), tmp_path, 1, 0)
    with pytest.raises(InputError, match=r"^--days and --skip take 9 days, .* the log has 8.0"):
        check_length(timedelta(days=8.02), 9, "--days and --skip")
