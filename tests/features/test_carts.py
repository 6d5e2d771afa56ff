"""Cart abandonment, a share between 0 and 1, where (carts - purchases) / carts would be negative."""

from typing import Any

import pytest

from app.core.duck import Connection
from app.features.pairs import cart_outcomes
from tests.handmade import Event, by_key, events_relation, moment

AS_OF = moment("10-10 12:00")
CASES: dict[str, tuple[list[tuple[int, str, str]], tuple[int, int] | None]] = {
    # product, event type, time -> carted pairs, abandoned pairs
    "bought at once": ([(1, "cart", "10-01 10:00"), (1, "purchase", "10-01 10:05")], (1, 0)),
    "bought in the same second": ([(1, "cart", "10-01 10:00"), (1, "purchase", "10-01 10:00")], (1, 0)),
    "bought on the last second": ([(1, "cart", "10-01 10:00"), (1, "purchase", "10-02 10:00")], (1, 0)),
    "bought a second too late": ([(1, "cart", "10-01 10:00"), (1, "purchase", "10-02 10:00:01")], (1, 1)),
    "never bought": ([(1, "cart", "10-01 10:00")], (1, 1)),
    "other product bought": ([(1, "cart", "10-01 10:00"), (2, "purchase", "10-01 10:05")], (1, 1)),
    "undecided at the end": ([(1, "cart", "10-10 10:00")], None),
    "window over on the end": ([(1, "cart", "10-09 12:00")], (1, 1)),
    "window over a second later": ([(1, "cart", "10-09 12:00:01")], None),
    "window not over but bought": ([(1, "cart", "10-10 10:00"), (1, "purchase", "10-10 11:00")], (1, 0)),
    "carted again and bought": (
        [(1, "cart", "10-01 10:00"), (1, "cart", "10-05 10:00"), (1, "purchase", "10-05 11:00")],
        (1, 0),
    ),
    "bought then carted again": (
        [(1, "cart", "10-01 10:00"), (1, "purchase", "10-01 11:00"), (1, "cart", "10-03 10:00")],
        (1, 1),
    ),
    "bought before it was carted": ([(1, "purchase", "10-01 09:00"), (1, "cart", "10-01 10:00")], (1, 1)),
    "purchases without a cart": ([(1, "purchase", "10-01 09:00"), (2, "purchase", "10-01 09:00")], None),
    "more purchases than carts": (  # (1 - 3) / 1 would be -2
        [(1, "cart", "10-01 10:00"), *((product, "purchase", "10-01 10:05") for product in (1, 2, 3))],
        (1, 0),
    ),
    "three carted, one left": (
        [(product, "cart", "10-01 10:00") for product in (1, 2, 3)]
        + [(product, "purchase", "10-01 11:00") for product in (1, 2)],
        (3, 1),
    ),
    "carted and removed": ([(1, "cart", "10-01 10:00"), (1, "remove_from_cart", "10-01 10:01")], (1, 1)),
    "viewed only": ([(1, "view", "10-01 10:00")], None),
}


@pytest.fixture(scope="module")
def outcomes(duck: Connection) -> dict[Any, dict[str, Any]]:
    events: list[Event] = [
        (user, product, kind, time) for user, (steps, _) in enumerate(CASES.values()) for product, kind, time in steps
    ]
    return by_key(cart_outcomes(events_relation(duck, events), AS_OF, window_hours=24), "user_id")


@pytest.mark.parametrize(("user", "case"), list(enumerate(CASES)))
def test_carted_and_abandoned_pairs(outcomes: dict[Any, dict[str, Any]], user: int, case: str) -> None:
    row = outcomes.get(user)
    assert (row and (row["carted_pairs"], row["abandoned_pairs"])) == CASES[case][1]


def test_abandonment_is_between_0_and_1(outcomes: dict[Any, dict[str, Any]]) -> None:
    assert all(0 <= row["abandoned_pairs"] <= row["carted_pairs"] for row in outcomes.values())
    assert all(row["carted_pairs"] > 0 for row in outcomes.values())
