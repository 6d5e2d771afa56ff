"""Profiles: every rule and its borders."""

from datetime import timedelta

import pytest

from app.core.duck import Connection, Relation
from app.features.prices import price_levels, price_ratios
from app.insight.profiles import profile_rows, rules, user_profiles
from app.insight.thresholds import Thresholds
from tests.handmade import by_key, moment, relation

START = moment("10-01 10:00")
#: case -> frequency, purchases, products looked at, buying sessions (minutes, removals),
#: (carted, abandoned) or None, products by name, and the profile
Case = tuple[int, int, list[tuple[float, int]], tuple[int, int] | None, str, str]
CASES: dict[str, Case] = {
    "bought in ten minutes": (1, 1, [(10, 0)], None, "usual", "Impulsive_Buyer"),
    "a second more": (1, 1, [(10 + 1 / 60, 0)], None, "usual", "One_Time_Buyer"),
    "quick, but took one out": (1, 1, [(5, 1)], None, "usual", "One_Time_Buyer"),
    "half of the visits quick": (5, 2, [(5, 0), (60, 0)], None, "usual", "Impulsive_Buyer"),
    "a third quick": (5, 3, [(5, 0), (60, 0), (60, 0)], None, "usual", "Repeat_Buyer"),
    "impulsive before abandoner": (5, 1, [(5, 0)], (4, 4), "usual", "Impulsive_Buyer"),
    "left one of two": (1, 0, [], (2, 1), "usual", "Cart_Abandoner"),
    "left less than half": (1, 0, [], (5, 2), "usual", "One_Visit_Browser"),
    "carted only one": (1, 0, [], (1, 1), "usual", "One_Visit_Browser"),
    "abandoner before regular": (9, 0, [], (2, 2), "usual", "Cart_Abandoner"),
    "three days, bought nothing": (3, 0, [], None, "usual", "Regular_Non_Buyer"),
    "two days, bought nothing": (2, 0, [], None, "usual", "Other"),
    "three days, bought": (3, 1, [(60, 0)], None, "usual", "One_Time_Buyer"),
    "regular before cheap": (3, 0, [], None, "cheap", "Regular_Non_Buyer"),
    "three cheap products": (1, 0, [], None, "cheap", "Price_Sensitive"),
    "cheap before one-time buyer": (1, 1, [(60, 0)], None, "cheap", "Price_Sensitive"),
    "two cheap products": (1, 0, [], None, "two cheap", "One_Visit_Browser"),
    "cheap and dear": (1, 0, [], None, "mixed", "One_Visit_Browser"),
    "without known prices": (1, 0, [], None, "priceless", "One_Visit_Browser"),
    "one event": (1, 0, [], None, "one event", "One_Event_Visitor"),
    "nothing but purchases": (1, 1, [(0, -1)], None, "usual", "One_Time_Buyer"),
}
LIMITS = Thresholds(abandoned_carts=2, regular_days=3, cheap_products=3)
#: product -> category code, mean price, users. Usual price of a.b: (10 * 1 + 10 * 1 + 10 * 1 + 40 * 2) / 5 = 22
PRODUCTS = {
    1: ("a.b", 10.0, 1),
    2: ("a.b", 10.0, 1),
    3: ("a.b", 10.0, 1),
    4: ("a.b", 40.0, 2),
    5: ("c.d", 7.0, 3),
    6: ("c.d", None, 9),
}
BASKETS = {
    "cheap": [1, 2, 3],
    "two cheap": [1, 2],
    "mixed": [1, 2, 4],
    "usual": [5],
    "priceless": [6],
    "one event": [5],
}


@pytest.fixture(scope="module")
def ratios(duck: Connection) -> Relation:
    products = [(product, *row) for product, row in PRODUCTS.items()]
    return price_ratios(
        relation(duck, products, "product_id bigint, category_code varchar, avg_price double, unique_users bigint")
    )


@pytest.fixture(scope="module")
def levels(duck: Connection, ratios: Relation) -> dict[int, float]:
    """Price level by user, in the order of `CASES`."""
    pairs = [(user, product) for user, (*_, basket, _) in enumerate(CASES.values()) for product in BASKETS[basket]]
    return {
        user: row["price_level"]
        for user, row in by_key(
            price_levels(relation(duck, pairs, "user_id bigint, product_id bigint"), ratios), "user_id"
        ).items()
    }


@pytest.fixture(scope="module")
def tables(duck: Connection, levels: dict[int, float]) -> dict[str, Relation]:
    users, sessions, carts = [], [], []
    for user, (frequency, purchases, visits, carted, basket, _) in enumerate(CASES.values()):
        events = 1 if basket == "one event" else 9
        users.append((user, frequency, purchases, len(BASKETS[basket]), events, levels.get(user), frequency))
        # removals of -1: of nothing but purchases; as many views as purchases otherwise
        sessions += [
            (user, START, START + timedelta(minutes=minutes), max(gone, 0), 1, int(gone >= 0), 0)
            for minutes, gone in visits
        ]
        sessions.append((user, START, START, 0, 0, 1, 0))  # a visit without a purchase is no buying session
        carts += [(user, *carted)] if carted else []
    return {
        "users": relation(
            duck,
            users,
            "user_id bigint, frequency bigint, purchases bigint, unique_products bigint, total_events bigint, "
            "price_level double, sessions bigint",
        ),
        "sessions": relation(
            duck,
            sessions,
            'user_id bigint, start timestamp, "end" timestamp, removals bigint, purchases bigint, views bigint, '
            "carts bigint",
        ),
        "carts": relation(duck, carts, "user_id bigint, carted_pairs bigint, abandoned_pairs bigint"),
    }


@pytest.fixture(scope="module")
def found(tables: dict[str, Relation]) -> dict[int, str]:
    return {user: row["profile"] for user, row in by_key(user_profiles(**tables, limits=LIMITS), "user_id").items()}


@pytest.mark.parametrize(("user", "case"), list(enumerate(CASES)))
def test_first_rule_that_holds(found: dict[int, str], user: int, case: str) -> None:
    assert found[user] == CASES[case][-1]


def test_every_user_has_one_profile(found: dict[int, str]) -> None:
    assert len(found) == len(CASES)
    assert set(found.values()) == set(rules(LIMITS))


def test_relative_price_is_the_mean_ratio_to_the_usual_price(levels: dict[int, float]) -> None:
    names = list(CASES)
    assert levels[names.index("three cheap products")] == pytest.approx(10 / 22)
    assert levels[names.index("cheap and dear")] == pytest.approx((10 / 22 * 10 / 22 * 40 / 22) ** (1 / 3))
    assert levels[names.index("bought in ten minutes")] == pytest.approx(1)
    assert names.index("without known prices") not in levels


def test_table_lists_all_profiles_with_rules() -> None:
    table = profile_rows({"Other": 2, "Cart_Abandoner": 1}, LIMITS)
    assert [row.profile for row in table] == list(rules(LIMITS))
    counts = {row.profile: (row.users, row.share) for row in table}
    assert counts["Other"] == (2, pytest.approx(2 / 3))
    assert counts["Impulsive_Buyer"] == (0, 0)
    assert [row.rule for row in table] == list(rules(LIMITS).values())
    assert "10 minutes" in table[0].rule
