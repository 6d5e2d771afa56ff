"""Behaviour of a stored log, part by part: what a log can't tell is left out, category ids stand in for names."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import connect, write
from app.core.parts import part_files
from app.insight.behaviour import BehaviourBase, Shop, Windows, find_behaviour
from app.insight.performance import PERFORMANCE_SCHEMA
from tests.handmade import Event, moment, relation, stored_events

PHONE = {"category_code": "electronics.phone", "category_id": 1, "price": 100.0}
SOFA = {"category_id": 2, "price": 20.0}
LAMP = {"price": 5.0}
EVENTS: list[Event] = [
    (1, 7, "view", "10-01 09:00", PHONE),
    (1, 7, "cart", "10-01 09:01", PHONE),
    (1, 7, "purchase", "10-01 09:02", PHONE),
    (2, 7, "view", "10-01 09:00", PHONE),
    (2, 8, "view", "10-01 09:01", SOFA),
    (2, 8, "cart", "10-01 09:02", SOFA),
    (3, 9, "view", "10-03 09:00", LAMP),
]


def behaviour(spark: SparkSession, folder: Path, events: list[Event], segments: bool = False) -> BehaviourBase:
    folder.mkdir(exist_ok=True)
    stored = stored_events(folder / "events", events)
    until = max(moment(event[3]) for event in events)
    shop = Shop(stored, None, tuple(sorted({event[2] for event in events})), until, None, {})
    if segments:
        with connect(folder / "spill") as connection:
            for number, file in enumerate(part_files(stored)):
                rows = [(user, user % 2) for user in (1, 2, 3) if user % 2 == number]
                target = folder / "segments" / file.name
                target.parent.mkdir(exist_ok=True)
                write(relation(connection, rows, "user_id bigint, segment_id int"), target)
        shop = replace(shop, segments=folder / "segments", segment_names={0: "even", 1: "odd"})
    return find_behaviour(spark, shop, Windows(funnel_days=7, cart_hours=24), folder / "behaviour")


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> BehaviourBase:
    return behaviour(spark, tmp_path_factory.mktemp("shop"), EVENTS, segments=True)


def test_parts_are_put_together(found: BehaviourBase) -> None:
    figures = found.figures
    assert figures.funnel is not None
    assert figures.carts is not None
    assert figures.paths is not None
    assert (figures.has_prices, figures.has_categories) == (True, True)
    assert (figures.funnel.total.sessions, figures.funnel.total.users) == ((3, 2, 1), (3, 2, 1))
    assert [(row.name, row.sessions) for row in figures.funnel.by_segment] == [("even", (1, 1, 0)), ("odd", (2, 1, 1))]
    assert [(row.name, row.sessions) for row in figures.funnel.by_category] == [
        ("electronics", (2, 1, 1)),
        ("category 2", (1, 1, 0)),
    ]
    assert [(row.name, row.sessions) for row in figures.funnel.by_price] == [
        ("cheap third", (1, 0, 0)),
        ("middle third", (1, 1, 0)),
        ("dear third", (2, 1, 1)),
    ]
    assert {row.outcome: (row.lines, row.value) for row in figures.carts.outcomes} == {
        "bought": (1, 100.0),
        "removed": (0, 0.0),
        "left": (1, 20.0),
        "open": (0, 0.0),
    }
    assert sum(row.times for row in figures.paths.events if row.before == "start") == 3
    assert figures.performance.products == 3
    assert [row.product for row in figures.performance.best_sellers] == ["7"]


def test_the_table_of_products(found: BehaviourBase) -> None:
    (file,) = part_files(found.table)
    table = pq.read_table(file)
    assert table.column_names == PERFORMANCE_SCHEMA.names
    assert [(row["product_id"], row["category"], row["viewers"]) for row in table.to_pylist()] == [
        (7, "electronics", 2),
        (8, "category 2", 1),
        (9, None, 1),
    ]


def test_purchases_alone_have_neither_funnel_nor_carts_nor_paths(spark: SparkSession, tmp_path: Path) -> None:
    bought: list[Event] = [(1, 7, "purchase", "10-01 09:00", PHONE), (2, 8, "purchase", "10-02 09:00", SOFA)]
    figures = behaviour(spark, tmp_path / "shop", bought).figures
    assert (figures.funnel, figures.carts, figures.paths) == (None, None, None)
    assert figures.performance.rates == ()
    assert [(row.product, row.revenue) for row in figures.performance.best_sellers] == [("7", 100.0), ("8", 20.0)]


def test_a_log_without_prices_and_categories(spark: SparkSession, tmp_path: Path) -> None:
    bare = [(*event[:4], {"price": None}) for event in EVENTS]
    figures = behaviour(spark, tmp_path / "shop", bare).figures
    assert (figures.has_prices, figures.has_categories) == (False, False)
    assert figures.funnel is not None
    assert figures.carts is not None
    assert figures.paths is not None
    assert (figures.funnel.by_category, figures.funnel.by_price, figures.paths.categories) == ((), (), ())
    assert figures.carts.outcomes[2].value is None
    assert [(row.name, row.left) for row in figures.carts.products] == [("8", 1)]
    assert figures.performance.best_sellers[0].revenue is None
