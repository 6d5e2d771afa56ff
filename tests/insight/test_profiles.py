"""Profiles: every rule and its borders."""

from datetime import timedelta

import pytest

from app.core.duck import Connection, Relation
from app.insight.profiles import RULES, price_ratios, profile_table, relative_prices, user_profiles
from tests.handmade import by_key, moment, relation

START = moment("10-01 10:00")
#: case -> frequency, purchases, products looked at, buying sessions (minutes, removals),
#: (carted, abandoned) or None, products by name, and the profile
Case = tuple[int, int, list[tuple[float, int]], tuple[int, int] | None, str, str]
CASES: dict[str, Case] = {
    "bought in ten minutes": (1, 1, [(10, 0)], None, "usual", "Impulsive_Buyer"),
    "a second more": (1, 1, [(10 + 1 / 60, 0)], None, "usual", "Other"),
    "quick, but took one out": (1, 1, [(5, 1)], None, "usual", "Other"),
    "half of the visits quick": (5, 2, [(5, 0), (60, 0)], None, "usual", "Impulsive_Buyer"),
    "a third quick": (5, 3, [(5, 0), (60, 0), (60, 0)], None, "usual", "Other"),
    "impulsive before abandoner": (5, 1, [(5, 0)], (4, 4), "usual", "Impulsive_Buyer"),
    "left one of two": (1, 0, [], (2, 1), "usual", "Cart_Abandoner"),
    "left less than half": (1, 0, [], (5, 2), "usual", "Other"),
    "carted only one": (1, 0, [], (1, 1), "usual", "Other"),
    "abandoner before regular": (9, 0, [], (2, 2), "usual", "Cart_Abandoner"),
    "three days, bought nothing": (3, 0, [], None, "usual", "Regular_Non_Buyer"),
    "two days, bought nothing": (2, 0, [], None, "usual", "Other"),
    "three days, bought": (3, 1, [(60, 0)], None, "usual", "Other"),
    "regular before cheap": (3, 0, [], None, "cheap", "Regular_Non_Buyer"),
    "three cheap products": (1, 0, [], None, "cheap", "Price_Sensitive"),
    "two cheap products": (1, 0, [], None, "two cheap", "Other"),
    "cheap and dear": (1, 0, [], None, "mixed", "Other"),
    "without known prices": (1, 0, [], None, "priceless", "Other"),
}
#: product -> category code, mean price, users. Usual price of a.b: (10 * 1 + 10 * 1 + 10 * 1 + 40 * 2) / 5 = 22
PRODUCTS = {
    1: ("a.b", 10.0, 1),
    2: ("a.b", 10.0, 1),
    3: ("a.b", 10.0, 1),
    4: ("a.b", 40.0, 2),
    5: ("c.d", 7.0, 3),
    6: ("c.d", None, 9),
}
BASKETS = {"cheap": [1, 2, 3], "two cheap": [1, 2], "mixed": [1, 2, 4], "usual": [5], "priceless": [6]}


@pytest.fixture(scope="module")
def tables(duck: Connection) -> dict[str, Relation]:
    users, sessions, carts, pairs = [], [], [], []
    for user, (frequency, purchases, visits, carted, basket, _) in enumerate(CASES.values()):
        users.append((user, frequency, purchases, len(BASKETS[basket])))
        sessions += [(user, START, START + timedelta(minutes=minutes), gone, 1) for minutes, gone in visits]
        sessions.append((user, START, START, 0, 0))  # a visit without a purchase is no buying session
        carts += [(user, *carted)] if carted else []
        pairs += [(user, product) for product in BASKETS[basket]]
    products = [(product, *row) for product, row in PRODUCTS.items()]
    return {
        "users": relation(duck, users, "user_id bigint, frequency bigint, purchases bigint, unique_products bigint"),
        "sessions": relation(
            duck, sessions, 'user_id bigint, start timestamp, "end" timestamp, removals bigint, purchases bigint'
        ),
        "carts": relation(duck, carts, "user_id bigint, carted_pairs bigint, abandoned_pairs bigint"),
        "pairs": relation(duck, pairs, "user_id bigint, product_id bigint"),
        "ratios": price_ratios(
            relation(duck, products, "product_id bigint, category_code varchar, avg_price double, unique_users bigint")
        ),
    }


@pytest.fixture(scope="module")
def found(tables: dict[str, Relation]) -> dict[int, str]:
    return {user: row["profile"] for user, row in by_key(user_profiles(**tables), "user_id").items()}


@pytest.mark.parametrize(("user", "case"), list(enumerate(CASES)))
def test_first_rule_that_holds(found: dict[int, str], user: int, case: str) -> None:
    assert found[user] == CASES[case][-1]


def test_every_user_has_one_profile(found: dict[int, str]) -> None:
    assert len(found) == len(CASES)
    assert set(found.values()) == set(RULES)


def test_relative_price_is_the_mean_ratio_to_the_usual_price(tables: dict[str, Relation]) -> None:
    found = by_key(relative_prices(tables["pairs"], tables["ratios"]), "user_id")
    ratios = {user: row["price_ratio"] for user, row in found.items()}
    names = list(CASES)
    assert ratios[names.index("three cheap products")] == pytest.approx(10 / 22)
    assert ratios[names.index("cheap and dear")] == pytest.approx((10 / 22 + 10 / 22 + 40 / 22) / 3)
    assert ratios[names.index("bought in ten minutes")] == pytest.approx(1)
    assert names.index("without known prices") not in ratios


def test_table_lists_all_profiles_with_rules() -> None:
    table = profile_table({"Other": 2, "Cart_Abandoner": 1})
    assert [row.profile for row in table] == list(RULES)
    counts = {row.profile: (row.users, row.share) for row in table}
    assert counts["Other"] == (2, pytest.approx(2 / 3))
    assert counts["Impulsive_Buyer"] == (0, 0)
    assert [row.rule for row in table] == list(RULES.values())
