"""Product features: latest known attributes, the enhanced score, and popularity that ranking can use."""

from typing import Any

import pytest

from app.core.duck import Connection
from app.features.pairs import user_product_pairs
from app.features.products import (
    PRODUCT_SCHEMA,
    product_attributes,
    product_features,
    product_recency,
    product_sums,
    product_words,
)
from tests.handmade import Event, by_key, events_relation, moment

AS_OF = moment("10-08 00:00")
BESTSELLER, HOBBY, MIXED, TIED, SILENT = 1, 2, 3, 4, 5


@pytest.fixture(scope="module")
def products(duck: Connection) -> dict[Any, dict[str, Any]]:
    phone, tv = "electronics.smartphone", "electronics.video.tv"
    events: list[Event] = [
        *((user, BESTSELLER, "purchase", "10-08 00:00", {"brand": "acme"}) for user in range(10, 16)),
        *((1, HOBBY, "view", f"10-08 00:{minute:02}") for minute in range(50)),
        (1, MIXED, "view", "10-01 00:00", {"category_code": phone, "brand": "old", "price": 10.0}),
        (2, MIXED, "view", "10-02 00:00", {"category_code": tv, "brand": "new", "price": 20.0}),
        (2, MIXED, "cart", "10-02 00:01", {"category_code": tv, "brand": "new", "price": 21.0}),
        (2, MIXED, "purchase", "10-02 00:02", {"category_code": tv, "brand": "new"}),
        (2, MIXED, "remove_from_cart", "10-03 00:00"),  # category and brand unknown, though later
        (1, TIED, "view", "10-02 00:00", {"brand": "aa", "category_code": phone}),
        (2, TIED, "view", "10-02 00:00", {"brand": "bb"}),
        (1, SILENT, "view", "10-02 00:00"),
    ]
    table = events_relation(duck, events)
    sums = product_sums(user_product_pairs(table, AS_OF, half_life_days=7))
    found = product_features(sums, product_attributes(product_words(table)), product_recency(table, AS_OF))
    assert found.columns == PRODUCT_SCHEMA.fieldNames()
    return by_key(found, "product_id")


def test_latest_known_attribute_where_the_brief_takes_any(products: dict[Any, dict[str, Any]]) -> None:
    """`first(brand)` would differ from run to run."""
    row = products[MIXED]
    assert (row["brand"], row["category_code"], row["category"]) == ("new", "electronics.video.tv", "electronics")


def test_unknown_is_taken_only_where_nothing_else_was_said(products: dict[Any, dict[str, Any]]) -> None:
    assert [products[SILENT][name] for name in ("brand", "category_code", "category")] == ["unknown"] * 3
    assert products[BESTSELLER]["category"] == "unknown"


def test_a_tie_in_time_does_not_depend_on_the_order_of_rows(products: dict[Any, dict[str, Any]]) -> None:
    assert (products[TIED]["brand"], products[TIED]["category_code"]) == ("bb", "electronics.smartphone")


def test_counts_and_mean_of_known_prices(products: dict[Any, dict[str, Any]]) -> None:
    row = products[MIXED]
    names = ("total_events", "total_views", "total_carts", "total_purchases", "unique_users")
    assert [row[name] for name in names] == [5, 2, 1, 1, 2]
    assert row["avg_price"] == pytest.approx(51 / 3)
    assert products[SILENT]["avg_price"] is None
    assert (row["first_seen"], row["last_seen"]) == (moment("10-01 00:00"), moment("10-03 00:00"))


def test_enhanced_popularity_score_is_the_briefs(products: dict[Any, dict[str, Any]]) -> None:
    """(3 purchases + 2 carts + views) / unique users."""
    assert products[MIXED]["enhanced_popularity_score"] == pytest.approx((3 * 1 + 2 * 1 + 2) / 2)
    assert products[BESTSELLER]["enhanced_popularity_score"] == pytest.approx(3 * 6 / 6)
    assert products[HOBBY]["enhanced_popularity_score"] == pytest.approx(50 / 1)


def test_one_user_with_many_views_does_not_outdo_a_bestseller(products: dict[Any, dict[str, Any]]) -> None:
    """By the enhanced score he does: 50 against 3."""
    score, ranking = "enhanced_popularity_score", "popularity"
    assert products[HOBBY][score] > products[BESTSELLER][score]
    assert products[HOBBY][ranking] == 10  # one user's interest, capped
    assert products[BESTSELLER][ranking] == 6 * 5


def test_popularity_fades_with_time(products: dict[Any, dict[str, Any]]) -> None:
    # user 1's view is a half-life old; user 2's 1 + 3 + 5 (of 6 days, less a minute or two) is 9 * 2^(-6/7)
    assert products[MIXED]["popularity"] == pytest.approx(0.5 + 9 * 0.5 ** (6 / 7), abs=2e-3)


def test_who_wanted_and_bought_a_product_in_the_last_day_and_week(duck: Connection) -> None:
    """Each user once; what was only taken out of the cart was not wanted; both windows begin with their moment."""
    events: list[Event] = [
        (1, MIXED, "view", "09-30 23:59:59"),
        (2, MIXED, "purchase", "10-01 00:00"),
        (2, MIXED, "view", "10-07 12:00"),
        (3, MIXED, "purchase", "10-06 23:59:59"),
        (4, MIXED, "view", "10-07 00:00"),
        (4, MIXED, "purchase", "10-07 00:01"),
        (4, MIXED, "view", "10-07 00:02"),
        (5, MIXED, "remove_from_cart", "10-07 13:00"),
        (1, SILENT, "view", "09-30 23:59:59"),
    ]
    found = by_key(product_recency(events_relation(duck, events), AS_OF), "product_id")
    assert set(found) == {MIXED}
    row = found[MIXED]
    assert (row["day_users"], row["day_buyers"], row["week_users"], row["week_buyers"]) == (2, 1, 3, 3)


def test_what_nobody_wanted_lately_counts_nobody(products: dict[Any, dict[str, Any]]) -> None:
    lately = ("day_users", "day_buyers", "week_users", "week_buyers")
    assert [products[BESTSELLER][name] for name in lately] == [6, 6, 6, 6]
    assert [products[MIXED][name] for name in lately] == [0, 0, 2, 1]
