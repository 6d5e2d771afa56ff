"""Slices: everything known before a moment.

Whatever a slice holds is made from its events alone, by one function, so that nothing after its moment can reach it.
Evaluation needs two, a learned ranker three.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.features.pairs import cart_outcomes, user_product_pairs
from app.features.products import product_attributes, product_features
from app.features.sessions import session_table, session_touches
from app.features.users import user_active_days, user_features


@dataclass(frozen=True)
class Slice:
    """What was known before a moment; every table is stored.

    `until`: the moment, from which ages are counted. `events`: the events before it, with `session_id`.
    `catalogue`: what the shop says of its products, known before any moment; None if it says nothing.
    `pairs`: `user_product_pairs`; `sessions`: `session_table`; `touches`: `session_touches`; `carts`:
    `cart_outcomes`; `users`: `user_features`, in an order that does not change from run to run; `products`:
    `product_features`.
    """

    until: datetime
    events: DataFrame
    catalogue: DataFrame | None
    pairs: DataFrame
    sessions: DataFrame
    touches: DataFrame
    carts: DataFrame
    users: DataFrame
    products: DataFrame


def span(events: DataFrame) -> tuple[datetime, datetime]:
    """Times of the first and the last event."""
    row = events.agg(F.min("event_time"), F.max("event_time")).first()
    assert row is not None
    return row[0], row[1]


def cut_time(first: datetime, last: datetime, days: float) -> datetime:
    """Start of a slice of so many days at the end of the data, at most half of them."""
    length = min(timedelta(days=days), (last - first) / 2)
    return (last - length).replace(microsecond=0)


def before(events: DataFrame, moment: datetime) -> DataFrame:
    """The events before a moment."""
    return events.where(F.col("event_time") < F.lit(moment))


def make_slice(
    events: DataFrame,
    catalogue: DataFrame | None,
    until: datetime,
    settings: Settings,
    folder: Path,
    users_to: Path | None = None,
    products_to: Path | None = None,
) -> Slice:
    """Features of the events of a slice.

    Parameters
    ----------
    events
        With `session_id`; none after `until`.
    catalogue
        `app.events.catalogue.CATALOGUE_SCHEMA`, if there is one.
    until
        The slice's moment.
    settings
        Half-life of popularity, window of carts, bounds of sessions.
    folder
        Where the tables are stored, on a disk that driver and executors share.
    users_to, products_to
        Where these two are stored, if elsewhere.
    """
    pairs = stored(user_product_pairs(events, until, settings.popularity_half_life_days), folder / "pairs")
    sessions = stored(session_table(events), folder / "sessions")
    touches = session_touches(events, settings.session_max_events, settings.session_max_products)
    attributes = stored(product_attributes(events, catalogue), folder / "attributes")
    carts = stored(cart_outcomes(events, until, settings.cart_window_hours), folder / "carts")
    users = user_features(pairs, attributes, sessions, user_active_days(events), carts, until)
    ordered = users.repartition("user_id").sortWithinPartitions("user_id")  # K-Means sees the same order each run
    return Slice(
        until,
        events,
        catalogue,
        pairs,
        sessions,
        stored(touches, folder / "touches"),
        carts,
        stored(ordered, users_to or folder / "users"),
        stored(product_features(pairs, attributes), products_to or folder / "products"),
    )


def stored(frame: DataFrame, path: Path) -> DataFrame:
    """The frame, computed once and kept on a disk."""
    frame.write.parquet(str(path))
    return frame.sparkSession.read.parquet(str(path))
