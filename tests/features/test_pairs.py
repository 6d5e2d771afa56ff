"""User-product pairs: ratings (1/3/5, capped at 10), decay, prices."""

from typing import Any

import pytest

from app.core.duck import Connection
from app.features.pairs import user_product_pairs
from tests.handmade import Event, by_key, events_relation, moment

AS_OF = moment("10-08 00:00")
HALF_LIFE = 7.0


@pytest.fixture(scope="module")
def pairs(duck: Connection) -> dict[Any, dict[str, Any]]:
    events: list[Event] = [
        (1, 10, "view", "10-01 00:00", {"price": 9.99}),  # a half-life old
        (1, 10, "cart", "10-08 00:00", {"price": 10.01}),
        (1, 11, "remove_from_cart", "10-08 00:00", {"price": 5.0}),
        (2, 10, "purchase", "10-02 00:00", {"price": 19.99}),
        (2, 10, "purchase", "10-08 00:00", {"price": 0.29}),  # 0.29 * 100 is 28.999… as a double
        (2, 10, "cart", "10-08 00:00"),
        *((3, 12, "view", f"10-08 00:{minute:02}") for minute in range(40)),
        (4, 12, "purchase", "09-17 00:00", {"price": 1.0}),  # three half-lives old
    ]
    return by_key(user_product_pairs(events_relation(duck, events), AS_OF, HALF_LIFE), "user_id", "product_id")


def test_rating_sums_one_three_five(pairs: dict[Any, dict[str, Any]]) -> None:
    """View 1, cart 3, purchase 5, summed."""
    assert pairs[1, 10]["rating"] == 1 + 3
    assert pairs[4, 12]["rating"] == 5


def test_rating_is_capped_at_ten(pairs: dict[Any, dict[str, Any]]) -> None:
    assert pairs[2, 10]["rating"] == 10  # 5 + 5 + 3
    assert pairs[3, 12]["rating"] == 10  # 40 views


def test_a_removal_says_nothing_good(pairs: dict[Any, dict[str, Any]]) -> None:
    assert (pairs[1, 11]["rating"], pairs[1, 11]["decayed"], pairs[1, 11]["removals"]) == (0, 0, 1)


def test_decay_halves_with_each_half_life(pairs: dict[Any, dict[str, Any]]) -> None:
    assert pairs[1, 10]["decayed"] == pytest.approx(1 * 0.5 + 3)
    assert pairs[4, 12]["decayed"] == pytest.approx(5 / 8)


def test_decayed_is_capped_so_that_one_user_cannot_make_a_bestseller(pairs: dict[Any, dict[str, Any]]) -> None:
    assert pairs[3, 12]["decayed"] == 10


def test_counts_prices_and_times(pairs: dict[Any, dict[str, Any]]) -> None:
    row = pairs[2, 10]
    assert [row[name] for name in ("views", "carts", "removals", "purchases")] == [0, 1, 0, 2]
    assert (row["price_cents"], row["prices"], row["paid_cents"]) == (1999 + 29, 2, 2028)
    assert (row["first_seen"], row["last_seen"]) == (moment("10-02 00:00"), AS_OF)
    assert row["last_purchase"] == AS_OF
    assert (pairs[1, 10]["price_cents"], pairs[1, 10]["prices"], pairs[1, 10]["paid_cents"]) == (2000, 2, None)
    assert (pairs[3, 12]["price_cents"], pairs[3, 12]["prices"], pairs[3, 12]["last_purchase"]) == (None, 0, None)
