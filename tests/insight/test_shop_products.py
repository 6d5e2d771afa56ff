"""Products by category and price band: names before ids, the busiest first, thirds of the shop's own prices."""

import pytest

from app.core.duck import Connection
from app.features.pairs import user_product_pairs
from app.features.products import product_sums, product_words
from app.insight.shop_products import labelled_products, shop_products, top_categories
from tests.handmade import Event, by_key, events_relation, moment, relation

ATTRIBUTES = "product_id bigint, product_key varchar, title varchar, category_code varchar, brand varchar, price double"
EVENTS: list[Event] = [
    (1, 7, "view", "10-01 09:00", {"price": 10.0, "category_id": 4}),
    (1, 7, "view", "10-01 09:01", {"price": 20.0, "category_id": 4}),
    (1, 7, "cart", "10-01 09:02"),
    (1, 7, "purchase", "10-01 09:03", {"price": 20.0, "quantity": 2.0}),
    (2, 7, "view", "10-01 09:00"),
    (3, 7, "purchase", "10-01 09:00", {"price": 20.0}),
    (3, 8, "remove_from_cart", "10-01 09:00", {"category_id": 5}),
]


def test_what_was_done_with_each_product(duck: Connection) -> None:
    """Of those who viewed product 7 one put it into the cart and bought it; another buyer did not look."""
    attributes = relation(
        duck,
        [
            (7, None, "Phone", "electronics.phone", "acme", 99.0),
            (8, "b", None, "unknown", "acme", 5.5),
            (9, None, None, "unknown", "acme", None),
        ],
        ATTRIBUTES,
    )
    events = events_relation(duck, EVENTS)
    counts = product_sums(user_product_pairs(events, moment("10-02 00:00"), 7))
    found = by_key(labelled_products(attributes, counts.union(counts), product_words(events)), "product_id")
    assert set(found) == {7, 8}, "nobody has touched 9"
    names = ("events", "views", "carts", "purchases", "viewers", "carters", "buyers", "revenue", "avg_price")
    assert [found[7][name] for name in names] == [12, 6, 2, 4, 4, 2, 2, 120.0, 17.5]
    assert [found[8][name] for name in names] == [2, 0, 0, 0, 0, 0, 0, None, 5.5]
    assert (found[7]["label"], found[8]["label"]) == ("electronics", "category 5")


def test_the_busiest_categories_have_numbers_and_prices_are_cut_in_thirds(duck: Connection) -> None:
    rows = [(n, f"c{n:02}", float(n) if n else None, 100 - n // 12) for n in range(13)]
    products = relation(duck, rows, "product_id bigint, label varchar, avg_price double, events bigint")
    names = top_categories(products)
    assert names.order("number").fetchall() == [(f"c{n:02}", n) for n in range(10)]
    found = by_key(shop_products(products, names), "product_id")
    assert [found[n]["category"] for n in (0, 9, 10, 12)] == [0, 9, 10, 10]
    assert [found[n]["band"] for n in range(13)] == [None, *[0] * 4, *[1] * 4, *[2] * 4]


@pytest.mark.parametrize(
    ("prices", "bands"),
    [
        ([5.0] * 6, [None] * 6),
        ([5.0] * 3 + [9.0] * 3, [None] * 6),  # halves, not thirds
        ([5.0] * 5 + [9.0], [None] * 6),
        ([5.0, 7.0, 9.0], [0, 1, 2]),
    ],
)
def test_prices_that_differ_too_little_are_not_cut(
    duck: Connection, prices: list[float], bands: list[int | None]
) -> None:
    rows = [(n, "c", price, 1) for n, price in enumerate(prices)]
    products = relation(duck, rows, "product_id bigint, label varchar, avg_price double, events bigint")
    found = by_key(shop_products(products, top_categories(products)), "product_id")
    assert [found[n]["band"] for n in range(len(prices))] == bands
