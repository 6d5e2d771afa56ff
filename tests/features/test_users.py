"""User features: each column, worked out by hand."""

from typing import Any

import pytest

from app.core.duck import Connection
from app.features.pairs import cart_outcomes, user_product_pairs
from app.features.products import product_attributes, product_words
from app.features.sessions import session_table
from app.features.users import USER_SCHEMA, user_features
from tests.handmade import Event, by_key, events_relation, moment, relation

AS_OF = moment("10-10 12:00")
ANNA, BEN, CARL = 1, 2, 3


@pytest.fixture(scope="module")
def users(duck: Connection) -> dict[Any, dict[str, Any]]:
    phone = {"category_code": "electronics.phone", "brand": "acme"}
    chair = {"category_code": "furniture.chair"}
    events: list[Event] = [
        (ANNA, 10, "view", "10-01 09:00", phone | {"price": 100.0}),
        (ANNA, 10, "cart", "10-01 09:01", phone | {"price": 100.0}),
        (ANNA, 10, "purchase", "10-01 09:02", phone | {"price": 90.0}),
        (ANNA, 11, "view", "10-01 23:00", chair | {"price": 40.0}),  # a second visit on the same day
        (ANNA, 11, "cart", "10-05 09:00", chair | {"price": 40.0}),  # left behind
        (ANNA, 11, "remove_from_cart", "10-05 09:05", chair),
        (ANNA, 12, "view", "10-05 09:10"),  # nothing known of it
        (ANNA, 13, "view", "10-05 09:20", {"category_code": "furniture.chair", "brand": "acme"}),
        (BEN, 10, "purchase", "10-10 12:00", phone | {"price": 90.0}),  # bought without a view, at the very end
        (CARL, 10, "view", "10-09 23:59", phone),
        (CARL, 10, "purchase", "10-09 23:59", phone | {"price": 5.0}),
        (CARL, 10, "purchase", "10-09 23:59:30", phone | {"price": 5.0}),
    ]
    table = events_relation(duck, events)
    found = user_features(
        user_product_pairs(table, AS_OF, half_life_days=7),
        product_attributes(product_words(table)),
        session_table(table),
        table,
        cart_outcomes(table, AS_OF, window_hours=24),
        relation(duck, [(10, 0.5), (11, 8.0)], "product_id bigint, ratio double"),
        AS_OF,
    )
    assert found.columns == USER_SCHEMA.fieldNames()
    return by_key(found, "user_id")


def test_every_user_has_one_row(users: dict[Any, dict[str, Any]]) -> None:
    assert set(users) == {ANNA, BEN, CARL}


@pytest.mark.parametrize(
    ("column", "anna", "ben", "carl"),
    [
        ("recency", 5, 0, 1),  # whole calendar days from the last event to the end of the data
        ("frequency", 2, 1, 1),  # days with an event
        ("monetary", 90.0, 90.0, 10.0),  # paid
        ("views", 4, 0, 1),
        ("carts", 2, 0, 0),
        ("purchases", 1, 1, 2),
        ("removals", 1, 0, 0),
        ("total_events", 8, 1, 3),
        ("sessions", 3, 1, 1),
        ("unique_products", 4, 1, 1),
        ("unique_categories", 2, 1, 1),  # "unknown" is none
        ("unique_brands", 1, 1, 1),
        ("avg_price", (100 + 100 + 90 + 40 + 40) / 5, 90.0, 5.0),
        ("price_level", (0.5 * 8.0) ** 0.5, 0.5, 0.5),  # over products with a known one
        ("conversion_rate", 1 / 4, 0.0, 1.0),  # without views 0; 2 purchases of 1 view is still a rate
        ("cart_abandonment", 1 / 2, None, None),
        ("first_seen", moment("10-01 09:00"), AS_OF, moment("10-09 23:59")),
        ("last_seen", moment("10-05 09:20"), AS_OF, moment("10-09 23:59:30")),
    ],
)
def test_each_column(users: dict[Any, dict[str, Any]], column: str, anna: Any, ben: Any, carl: Any) -> None:
    found = [users[user][column] for user in (ANNA, BEN, CARL)]
    assert found == [pytest.approx(value) if isinstance(value, float) else value for value in (anna, ben, carl)]
