"""Carts: what became of each line, worked out by hand."""

import pytest

from app.core.duck import Connection, Relation, kept
from app.features.pairs import cart_outcomes
from app.insight.behaviour_results import Carts, LeftBehind, Waited
from app.insight.carts import cart_lines, carts, line_counts, time_counts
from tests.handmade import Event, by_key, events_relation, moment
from tests.insight.shop import shop_relation

HOURS = 24
AS_OF = moment("10-10 00:00")
EVENTS: list[Event] = [
    # bought two days after the first cart event, five minutes after the second
    (1, 7, "cart", "10-01 09:00", {"price": 90.0}),
    (1, 7, "cart", "10-03 08:55", {"price": 95.0}),
    (1, 7, "purchase", "10-03 09:00", {"price": 95.0}),
    # two of them, bought too late: left behind, and a purchase after a day and a minute
    (2, 8, "cart", "10-01 09:00", {"price": 20.0, "quantity": 2.0}),
    (2, 8, "purchase", "10-02 09:01", {"price": 20.0}),
    # taken out; into the cart again, which counts, and left there; without a price, so the product's mean counts
    (3, 9, "cart", "10-01 09:00"),
    (3, 9, "remove_from_cart", "10-01 09:01"),
    (4, 9, "cart", "10-01 09:00"),
    (4, 9, "remove_from_cart", "10-01 09:01"),
    (4, 9, "cart", "10-01 09:02"),
    # no price is known of product 10
    (5, 10, "cart", "10-01 09:00"),
    # the day is not over
    (6, 7, "cart", "10-09 09:00", {"price": 100.0}),
    # bought, but never carted; and bought before it was carted
    (7, 7, "purchase", "10-01 09:00", {"price": 100.0}),
    (8, 7, "purchase", "10-01 08:59", {"price": 100.0}),
    (8, 7, "cart", "10-01 09:00", {"price": 100.0}),
]


@pytest.fixture(scope="module")
def lines(duck: Connection) -> Relation:
    return kept(cart_lines(events_relation(duck, EVENTS), shop_relation(duck), AS_OF, HOURS))


@pytest.fixture(scope="module")
def found(duck: Connection, lines: Relation) -> Carts:
    return carts(line_counts(lines), time_counts(lines), shop_relation(duck), HOURS, priced=True)


def test_each_line_has_one_end(lines: Relation) -> None:
    ends = {key: (row["outcome"], row["cents"]) for key, row in by_key(lines, "user_id", "product_id").items()}
    assert ends == {
        (1, 7): ("bought", 9500),
        (2, 8): ("left", 4000),
        (3, 9): ("removed", 500),
        (4, 9): ("left", 500),
        (5, 10): ("left", None),
        (6, 7): ("open", 10000),
        (8, 7): ("left", 10000),
    }


def test_bought_and_abandoned_ones_are_those_of_the_users_features(duck: Connection, lines: Relation) -> None:
    outcomes = by_key(cart_outcomes(events_relation(duck, EVENTS), AS_OF, HOURS), "user_id")
    decided = [row for row in by_key(lines, "user_id", "product_id").values() if row["outcome"] != "open"]
    assert sum(row["carted_pairs"] for row in outcomes.values()) == len(decided)
    assert sum(row["abandoned_pairs"] for row in outcomes.values()) == sum(
        row["outcome"] in ("left", "removed") for row in decided
    )


def test_value_left_behind(found: Carts) -> None:
    assert [(row.outcome, row.lines, row.value) for row in found.outcomes] == [
        ("bought", 1, 95.0),
        ("removed", 1, 5.0),
        ("left", 4, 145.0),
        ("open", 1, 100.0),
    ]


def test_what_was_left(found: Carts) -> None:
    assert found.products == (
        LeftBehind(name="7", category="phones", left=1, value=100.0, decided=2),
        LeftBehind(name="8", category="phones", left=1, value=40.0, decided=1),
        LeftBehind(name="9", category="sofas", left=1, value=5.0, decided=2),
        LeftBehind(name="10", category=None, left=1, value=None, decided=1),
    )
    assert found.categories == (
        LeftBehind(name="phones", category=None, left=2, value=140.0, decided=3),
        LeftBehind(name="sofas", category=None, left=1, value=5.0, decided=2),
    )


def test_products_of_one_title_are_told_apart(duck: Connection, lines: Relation) -> None:
    shop = shop_relation(duck).select("* replace ('Gift card' as title)")
    found = carts(line_counts(lines), time_counts(lines), shop, HOURS, priced=True)
    assert [(row.name, row.value) for row in found.products] == [
        ("Gift card", 100.0),
        ("Gift card", 40.0),
        ("Gift card", 5.0),
        ("Gift card", None),
    ]


def test_without_prices_lines_are_counted(duck: Connection, lines: Relation) -> None:
    found = carts(line_counts(lines), time_counts(lines), shop_relation(duck), HOURS, priced=False)
    assert [row.value for row in found.outcomes] == [None] * 4
    assert [(row.name, row.left, row.value) for row in found.categories] == [("phones", 2, None), ("sofas", 1, None)]


def test_time_from_the_first_cart_event_to_the_purchase(found: Carts) -> None:
    times = found.times
    assert times is not None
    assert (times.purchases, times.p25_seconds, times.p90_seconds) == (2, 24 * 3600 + 60, 48 * 3600)
    filled = [row for row in times.bars if row.purchases]
    assert filled == [Waited(below_seconds=3 * 24 * 3600, purchases=2)]


def test_quantiles_are_weighted_by_lines(duck: Connection) -> None:
    times = duck.sql("select * from (values (30, 5), (60, 3), (900, 1), (10000000, 1)) as waited (seconds, lines)")
    found = carts(line_counts(_none(duck)), times, shop_relation(duck), HOURS, priced=True).times
    assert found is not None
    assert (found.p25_seconds, found.median_seconds, found.p75_seconds, found.p90_seconds) == (30, 30, 60, 900)
    assert [row.purchases for row in found.bars] == [5, 3, 0, 1, 0, 0, 0, 0, 1]


def test_nothing_in_carts(duck: Connection) -> None:
    lines = _none(duck)
    found = carts(line_counts(lines), time_counts(lines), shop_relation(duck), HOURS, priced=True)
    assert [row.lines for row in found.outcomes] == [0, 0, 0, 0]
    assert (found.products, found.categories, found.times) == ((), (), None)


def _none(duck: Connection) -> Relation:
    return kept(cart_lines(events_relation(duck, []), shop_relation(duck), AS_OF, HOURS))
