"""Behaviour in the shop: funnel, carts, products and paths of a stored events table, part by part."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Connection, Relation
from app.core.parts import Part, by_part, part_files, read_table, write_table
from app.events.vocabulary import CART
from app.features.pairs import user_product_pairs
from app.features.products import product_attributes, product_sums, product_words
from app.insight.behaviour_results import Behaviour
from app.insight.carts import cart_lines, carts, line_counts, time_counts
from app.insight.funnel import StepRows, buying_counts, funnel, funnel_counts, steps_of
from app.insight.paths import path_counts, paths
from app.insight.performance import performance, product_performance
from app.insight.shop_products import labelled_products, shop_products, top_categories
from app.insight.visit_steps import visit_steps


@dataclass(frozen=True)
class Shop:
    """What behaviour is read from.

    `events`: a stored events table, in parts. `tables`: a folder with `product_sums`, `product_words` and `attributes`
    (`product_attributes`); None where they are not stored. `event_types`: those that occur.
    `until`: the last event. `segments`: user_id and segment_id, in the same parts; None where there are no segments.
    `segment_names`: by id.
    """

    events: Path
    tables: Path | None
    event_types: tuple[str, ...]
    until: datetime
    segments: Path | None
    segment_names: Mapping[int, str]


@dataclass(frozen=True)
class Windows:
    """Within how many days a user's funnel must end, and within how many hours a carted product must be bought."""

    funnel_days: float
    cart_hours: int


@dataclass(frozen=True)
class BehaviourBase:
    """What was found, and the stored table of `app.insight.performance.PERFORMANCE_SCHEMA`."""

    figures: Behaviour
    table: Path


def find_behaviour(spark: SparkSession, shop: Shop, windows: Windows, folder: Path) -> BehaviourBase:
    """Funnel, carts, products and paths.

    Parameters
    ----------
    spark
        Session.
    shop
        The tables.
    windows
        Settings.
    folder
        For the tables made here, on a disk that driver and executors share.
    """

    folder.mkdir(parents=True)
    parts = len(part_files(shop.events))
    if shop.tables is None:
        by_part(spark, parts, lambda part: _count_products(part, shop), folder)
    with duck.connect(folder) as connection:
        _store_products(connection, shop, folder)
        by_part(spark, parts, lambda part: _count(part, shop, windows, folder), folder)
        figures = _figures(connection, shop, windows, folder)
    return BehaviourBase(figures, folder / "performance")


def _count_products(part: Part, shop: Shop) -> None:
    events = part.read(shop.events)
    pairs = user_product_pairs(events, shop.until, half_life_days=1)  # of what decays nothing is asked
    part.write("product_sums", product_sums(pairs))
    part.write("product_words", product_words(events))


def _store_products(connection: Connection, shop: Shop, folder: Path) -> None:
    place = shop.tables or folder
    sums, words = (read_table(connection, place / f"product_{name}") for name in ("sums", "words"))
    attributes = read_table(connection, place / "attributes") if shop.tables else product_attributes(words)
    products = duck.kept(labelled_products(attributes, sums, words))
    names = write_table(connection, top_categories(products), folder / "categories")
    write_table(connection, shop_products(products, names), folder / "shop")


def _count(part: Part, shop: Shop, windows: Windows, folder: Path) -> None:
    """All that is counted of a part; its events are put into order once."""
    events, products = part.read(shop.events), read_table(part.connection, folder / "shop")
    until, steps = shop.until, steps_of(shop.event_types)
    if len(shop.event_types) > 1:
        visits = duck.kept(visit_steps(events, products))
        part.write("paths", path_counts(visits))
        if len(steps) > 1:
            segments = part.read(shop.segments) if shop.segments else None
            rows = StepRows.of(visits, steps)
            part.write("funnel", funnel_counts(rows, windows.funnel_days, until, segments))
            part.write("buying", buying_counts(rows))
    if CART in shop.event_types:
        lines = duck.kept(cart_lines(events, products, until, windows.cart_hours))
        part.write("cart_lines", line_counts(lines))
        part.write("cart_times", time_counts(lines))


def _figures(connection: Connection, shop: Shop, windows: Windows, folder: Path) -> Behaviour:
    def counted(name: str) -> Relation:
        return read_table(connection, folder / name)

    products, types = counted("shop"), shop.event_types
    ((priced,),) = products.aggregate("count(avg_price) > 0").fetchall()
    categories = [name for name, _ in counted("categories").order("number").fetchall()]
    made, rates = product_performance(connection, products, types)
    table = write_table(connection, made, folder / "performance")
    steps = steps_of(types)
    return Behaviour(
        has_prices=priced,
        has_categories=bool(categories),
        funnel=funnel(counted("funnel"), counted("buying"), steps, windows.funnel_days, categories, shop.segment_names)
        if len(steps) > 1
        else None,
        carts=carts(counted("cart_lines"), counted("cart_times"), products, windows.cart_hours, priced)
        if CART in types
        else None,
        performance=performance(table, rates),
        paths=paths(counted("paths"), categories) if len(types) > 1 else None,
    )
