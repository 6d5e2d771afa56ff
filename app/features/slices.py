"""Slices: everything known before a moment.

Whatever a slice holds is made from its events alone, by one function, so that nothing after its moment can reach it.
Evaluation needs two, a learned ranker three.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Relation
from app.core.parts import Part, by_part, part_files, read_table, write_table
from app.core.settings import Settings
from app.features.pairs import cart_outcomes, user_product_pairs
from app.features.prices import price_ratios
from app.features.products import product_attributes, product_features, product_recency, product_sums, product_words
from app.features.sessions import session_table, session_touches
from app.features.users import user_features

#: Columns of events from which pairs, sessions, touches, carts and words are made.
_SEEN = (
    "user_id, session_id, product_id, event_type, event_time, copies, price, quantity, user_key, product_key, "
    "category_id, category_code, brand"
)
QUICK = "snappy"  #: how the large tables of a run's scratch folder are packed


@dataclass(frozen=True)
class Slice:
    """What was known before a moment; every table is stored.

    `until`: the moment, from which ages are counted. `events`: the whole events table, of which the slice knows
    those before the moment. `catalogue`: what the shop says of its products, known before any moment; None if it says
    nothing. `folder`: of the tables made of them: `pairs` (`user_product_pairs`), `sessions`
    (`session_table`), `touches` (`session_touches`), `carts` (`cart_outcomes`) and `users` (`user_features`) in as
    many parts as the events, and `products` (`product_features`) and `ratios` (`price_ratios`) in one.
    """

    spark: SparkSession
    until: datetime
    events: Path
    catalogue: Path | None
    folder: Path


def span(events: Path) -> tuple[datetime, datetime]:
    """Times of the first and the last event of a stored table."""
    with duck.connect(events.parent) as connection:
        ((first, last),) = read_table(connection, events).aggregate("min(event_time), max(event_time)").fetchall()
    return first, last


def cut_time(first: datetime, last: datetime, days: float) -> datetime:
    """Start of a slice of so many days at the end of the data, at most half of them."""
    length = min(timedelta(days=days), (last - first) / 2)
    return (last - length).replace(microsecond=0)


def make_slice(
    spark: SparkSession, events: Path, catalogue: Path | None, cut: datetime | None, settings: Settings, folder: Path
) -> Slice:
    """Features of the events before a moment.

    Parameters
    ----------
    spark
        Session.
    events
        A stored events table, in parts.
    catalogue
        Stored table of `app.events.catalogue.CATALOGUE_SCHEMA`, known before any moment, if there is one.
    cut
        The moment; None for all events, with the last as the moment.
    settings
        Half-life of popularity, window of carts, bounds of sessions.
    folder
        Where the tables are stored, on a disk that driver and executors share.
    """
    folder.mkdir(parents=True)
    until = cut or span(events)[1]
    parts = len(part_files(events))

    def known(part: Part) -> Relation:
        every = part.read(events)
        return every if cut is None else every.filter(f"event_time < timestamp '{cut}'")

    def tables(part: Part) -> None:
        seen = duck.kept(known(part).select(_SEEN))  # all that is made of them reads them once
        pairs = part.write("pairs", user_product_pairs(seen, until, settings.popularity_half_life_days), QUICK)
        part.write("sessions", session_table(seen), QUICK)
        touches = session_touches(seen, settings.session_max_events, settings.session_max_products)
        part.write("touches", touches, QUICK)
        part.write("carts", cart_outcomes(seen, until, settings.cart_window_hours))
        part.write("product_sums", product_sums(pairs))
        part.write("product_recency", product_recency(seen, until))
        part.write("product_words", product_words(seen))

    def users(part: Part) -> None:
        pairs, sessions, carts = (part.read(folder / name) for name in ("pairs", "sessions", "carts"))
        attributes, ratios = (read_table(part.connection, folder / name) for name in ("attributes", "ratios"))
        part.write("users", user_features(pairs, attributes, sessions, known(part), carts, ratios, until))

    by_part(spark, parts, tables, folder)
    with duck.connect(folder) as connection:
        of_parts = (read_table(connection, folder / f"product_{name}") for name in ("sums", "words", "recency"))
        sums, words, recency = of_parts
        named = read_table(connection, catalogue) if catalogue else None
        attributes = write_table(connection, product_attributes(words, named), folder / "attributes")
        products = write_table(connection, product_features(sums, attributes, recency), folder / "products")
        write_table(connection, price_ratios(products), folder / "ratios")
    by_part(spark, parts, users, folder)
    return Slice(spark, until, events, catalogue, folder)
