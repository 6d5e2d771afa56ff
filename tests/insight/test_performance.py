"""How products do: counts by hand, and which ones stand out."""

import pytest

from app.core.duck import Connection, Relation, kept, query
from app.insight.behaviour_results import Performance
from app.insight.performance import PERFORMANCE_SCHEMA, performance, product_counts, product_performance
from tests.handmade import by_key, relation
from tests.insight.shop import COLUMNS, shop_relation

PAIRS = "user_id bigint, product_id bigint, views bigint, carts bigint, purchases bigint, paid_cents bigint"
EVENT_TYPES = ("view", "cart", "purchase")


def pairs_of(duck: Connection, shop: dict[int, tuple[int, int]]) -> Relation:
    """Of each product so many viewers, and buyers among them."""
    rows = relation(duck, [(n, *counts) for n, counts in shop.items()], "product bigint, viewers bigint, buyers bigint")
    return query(
        """
        select number as user_id, product as product_id, 1 as views, 0 as carts,
            (number < buyers)::int as purchases, case when number < buyers then 100 end as paid_cents
        from rows, range(viewers) as numbers (number)
        """,
        rows=rows,
    )


def products_of(duck: Connection, numbers: range) -> Relation:
    return relation(duck, [(n, None, None, "acme", "phones", 0, 1.0, 0) for n in numbers], COLUMNS)


def test_viewers_who_cart_and_buy_are_counted_once_each(duck: Connection) -> None:
    rows = [(1, 7, 5, 2, 1, 300), (2, 7, 1, 0, 0, None), (3, 7, 0, 1, 2, 500), (1, 8, 0, 0, 1, None)]
    counts = product_counts(relation(duck, rows, PAIRS))
    table, rates = product_performance(duck, counts.union(counts), shop_relation(duck), EVENT_TYPES)
    assert table.columns == PERFORMANCE_SCHEMA.names
    found = by_key(table, "product_id")
    names = ("views", "carts", "purchases", "revenue", "viewers", "carters", "buyers")
    assert [found[7][name] for name in names] == [12, 6, 6, 16.0, 4, 2, 2]
    assert [found[8][name] for name in names] == [0, 0, 2, None, 0, 0, 0]
    assert (found[8]["purchase_rate"], found[8]["purchase_rate_low"], found[8]["stands_out"]) == (None, None, None)
    assert [(rate.event, rate.products, rate.viewers, rate.rate) for rate in rates] == [
        ("cart", 1, 4, 0.5),
        ("purchase", 1, 4, 0.5),
    ]
    assert rates[0].alpha is None, "one product alone does not tell how products differ"
    assert found[7]["cart_rate"] == 0.5


@pytest.fixture(scope="module")
def found(duck: Connection) -> tuple[Relation, Performance]:
    """Forty products that a tenth of 200 viewers buy; of three more half do, one of one, and nobody."""
    shop = {n: (200, 15 + n % 11) for n in range(40)} | {40: (200, 100), 41: (1, 1), 42: (200, 0)}
    counts = product_counts(pairs_of(duck, shop))
    table, rates = product_performance(duck, counts, products_of(duck, range(43)), EVENT_TYPES)
    table = kept(table)
    return table, performance(table, rates, priced=True)


def test_products_whose_interval_is_apart_stand_out(found: tuple[Relation, Performance]) -> None:
    table, figures = found
    rows = by_key(table, "product_id")
    assert {product: row["stands_out"] for product, row in rows.items() if row["stands_out"]} == {
        40: "above",
        42: "below",
    }
    assert [row.product for row in figures.above] == ["40"]
    assert [row.product for row in figures.below] == ["42"]
    purchase = figures.rates[1]
    assert (purchase.above, purchase.below) == (1, 1)
    assert purchase.rate == pytest.approx(sum(row["buyers"] for row in rows.values()) / (42 * 200 + 1))


def test_what_little_is_known_of_is_drawn_to_the_shops_rate(found: tuple[Relation, Performance]) -> None:
    table, figures = found
    rows, rate = by_key(table, "product_id"), figures.rates[1].rate
    assert rate < rows[41]["purchase_rate"] < 0.25, "one of one is no 100 %"
    assert 0 < rows[42]["purchase_rate"] < 0.02
    assert 0.4 < rows[40]["purchase_rate"] < 0.5
    assert all(row["purchase_rate_low"] < row["purchase_rate"] < row["purchase_rate_high"] for row in rows.values())


def test_best_sellers_are_by_revenue_else_by_purchases(duck: Connection) -> None:
    rows = [(1, 7, 1, 0, 1, 300), (2, 8, 1, 0, 5, 200), (3, 9, 4, 0, 0, None)]
    counts = product_counts(relation(duck, rows, PAIRS))
    for priced, order in ((True, ["7", "8"]), (False, ["8", "7"])):
        table, rates = product_performance(duck, counts, shop_relation(duck), EVENT_TYPES)
        sellers = performance(kept(table), rates, priced).best_sellers
        assert [row.product for row in sellers] == order
        assert [row.revenue is None for row in sellers] == [not priced] * 2


@pytest.mark.parametrize(("types", "known"), [(("purchase",), []), (("view", "purchase"), ["purchase"])])
def test_rates_that_a_log_does_not_carry_are_left_out(
    duck: Connection, types: tuple[str, ...], known: list[str]
) -> None:
    counts = product_counts(pairs_of(duck, {7: (9, 1), 8: (9, 8)}))
    table, rates = product_performance(duck, counts, shop_relation(duck), types)
    assert [rate.event for rate in rates] == known
    assert by_key(table, "product_id")[7]["cart_rate"] is None
