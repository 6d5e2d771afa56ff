"""Thresholds of profiles: of the shop's own users, worked out by hand, unless they are set."""

from dataclasses import fields
from datetime import timedelta
from typing import get_args

import pytest

from app.core.duck import Connection, Relation
from app.core.settings import ProfileThreshold
from app.insight.thresholds import Thresholds, thresholds
from tests.handmade import moment, relation

START = moment("10-01 10:00")


def tables(
    duck: Connection,
    users: list[tuple[int, int, float | None]],
    sessions: list[tuple[float, int, int]],
    carts: list[int],
) -> list[Relation]:
    """Users (days, products, price level), sessions (minutes, views, purchases), and carted products of some."""
    return [
        relation(
            duck,
            [(number, *row) for number, row in enumerate(users)],
            "user_id bigint, frequency bigint, unique_products bigint, price_level double",
        ),
        relation(
            duck,
            [(START, START + timedelta(minutes=minutes), *counts, 0) for minutes, *counts in sessions],
            'start timestamp, "end" timestamp, views bigint, purchases bigint, carts bigint',
        ),
        relation(duck, [(carted,) for carted in carts], "carted_pairs bigint"),
    ]


def test_they_are_quantiles_of_the_users_they_are_about(duck: Connection) -> None:
    users = [(1, 1, 0.1), (1, 1, 0.2), (2, 3, 0.5), (4, 5, 0.7), (9, 9, 0.9), (1, 9, 1.1), (1, 9, 1.3)]
    sessions = [(2.0, 1, 1), (8.5, 3, 1), (20.0, 3, 1), (30.0, 3, 2), (0.0, 0, 1), (0.5, 5, 0)]
    assert thresholds(*tables(duck, users, sessions, [0, 1, 3, 4]), given={}) == Thresholds(
        impulsive_minutes=2.0,  # a quarter of 2, 8.5, 20, 30; the others only buy, or don't
        abandoned_carts=3,  # of 1, 3, 4
        regular_days=4,  # of 2, 4, 9
        cheap_products=9,  # of 3, 5, 9, 9, 9
        cheap_ratio=0.9,  # the lowest fifth of .9, 1.1, 1.3
    )


@pytest.mark.parametrize(
    ("levels", "ratio"), [([1.0] * 5, 0.9), ([0.97, 0.99, 1.0, 1.01, 1.02], 0.9), ([0.6] * 5, 0.6)]
)
def test_nobody_is_after_cheap_products_where_prices_hardly_differ(
    duck: Connection, levels: list[float], ratio: float
) -> None:
    found = thresholds(*tables(duck, [(1, 3, level) for level in levels], [], []), given={})
    assert found.cheap_ratio == ratio


def test_what_is_given_holds(duck: Connection) -> None:
    users = [(1, 3, 0.5), (4, 5, 0.7), (9, 9, 0.9)]
    found = thresholds(*tables(duck, users, [], []), given={"cheap_products": 4, "regular_days": 7})
    assert (found.regular_days, found.cheap_products, found.cheap_ratio) == (7, 4, 0.7)


def test_a_shop_that_has_nobody_to_take_them_from_has_defaults(duck: Connection) -> None:
    assert thresholds(*tables(duck, [(1, 1, None)], [], []), given={}) == Thresholds()


def test_every_threshold_can_be_set() -> None:
    assert {field.name for field in fields(Thresholds)} == set(get_args(ProfileThreshold))


@pytest.mark.parametrize("name", get_args(ProfileThreshold))
def test_every_threshold_is_explained(name: str) -> None:
    assert f"`{name}`" in (Thresholds.__doc__ or "")
