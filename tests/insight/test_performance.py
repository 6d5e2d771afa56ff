"""How products do: which rates they have, and which ones stand out."""

import pytest

from app.core.duck import Connection, Relation, kept
from app.insight.behaviour_results import Performance
from app.insight.performance import PERFORMANCE_SCHEMA, performance, product_performance
from tests.handmade import by_key
from tests.insight.shop import sold

EVENT_TYPES = ("view", "cart", "purchase")


@pytest.fixture(scope="module")
def found(duck: Connection) -> tuple[Relation, Performance]:
    """Forty products that a tenth of 200 viewers buy; of others half do, one of one, nobody; one is not viewed."""
    shop = {n: (200, 15 + n % 11) for n in range(40)} | {40: (200, 100), 41: (1, 1), 42: (200, 0), 43: (0, 0)}
    table, rates = product_performance(duck, sold(duck, shop), EVENT_TYPES)
    table = kept(table)
    return table, performance(table, rates)


def test_products_whose_interval_is_apart_stand_out(found: tuple[Relation, Performance]) -> None:
    table, figures = found
    assert table.columns == PERFORMANCE_SCHEMA.names
    rows = by_key(table, "product_id")
    assert {product: row["stands_out"] for product, row in rows.items() if row["stands_out"]} == {
        40: "above",
        42: "below",
    }
    assert [row.product for row in figures.above] == ["40"]
    assert [row.product for row in figures.below] == ["42"]
    cart, purchase = figures.rates
    assert (purchase.event, purchase.above, purchase.below) == ("purchase", 1, 1)
    assert (purchase.products, purchase.viewers) == (43, 42 * 200 + 1)
    assert purchase.rate == pytest.approx(sum(row["buyers"] for row in rows.values()) / (42 * 200 + 1))
    assert (cart.rate, cart.alpha) == (0, None), "nobody puts anything into the cart"


def test_what_little_is_known_of_is_drawn_to_the_shops_rate(found: tuple[Relation, Performance]) -> None:
    table, figures = found
    rows, rate = by_key(table, "product_id"), figures.rates[1].rate
    assert rate < rows[41]["purchase_rate"] < 0.25, "one of one is no 100 %"
    assert 0 < rows[42]["purchase_rate"] < 0.02
    assert 0.4 < rows[40]["purchase_rate"] < 0.5
    assert (rows[43]["purchase_rate"], rows[43]["purchase_rate_low"], rows[43]["cart_rate"]) == (None, None, None)
    viewed = [row for row in rows.values() if row["viewers"]]
    assert all(row["purchase_rate_low"] < row["purchase_rate"] < row["purchase_rate_high"] for row in viewed)


def test_where_products_do_not_differ_each_has_the_shops_rate(duck: Connection) -> None:
    table, rates = product_performance(duck, sold(duck, {7: (4, 2), 8: (4, 2)}), ("view", "purchase"))
    assert (rates[0].rate, rates[0].alpha, rates[0].above) == (0.5, None, 0)
    names = ("purchase_rate", "purchase_rate_low", "purchase_rate_high", "stands_out")
    assert [by_key(table, "product_id")[8][name] for name in names] == [0.5, None, None, None]


def test_best_sellers_are_by_revenue_else_by_purchases(duck: Connection) -> None:
    """What a product without a price has brought is not known, and not nothing."""
    shop = {7: (9, 1), 8: (9, 5), 9: (4, 0)}
    for revenue, order in (({7: 3.0, 8: 2.0}, ["7", "8"]), ({7: 3.0}, ["7", "8"]), ({}, ["8", "7"])):
        table, rates = product_performance(duck, sold(duck, shop, revenue), EVENT_TYPES)
        sellers = performance(kept(table), rates).best_sellers
        assert [row.product for row in sellers] == order
        assert [row.revenue for row in sellers] == [revenue.get(int(product)) for product in order]


@pytest.mark.parametrize(("types", "known"), [(("purchase",), []), (("view", "purchase"), ["purchase"])])
def test_rates_that_a_log_does_not_carry_are_left_out(
    duck: Connection, types: tuple[str, ...], known: list[str]
) -> None:
    table, rates = product_performance(duck, sold(duck, {7: (9, 1), 8: (9, 8)}), types)
    assert [rate.event for rate in rates] == known
    assert by_key(table, "product_id")[7]["cart_rate"] is None
