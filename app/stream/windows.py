"""Counts of events in windows of time, for the live dashboards: worked out anew from the archive.

A window's counts are those of the events that the archive holds of it. So they need no state and no second
reading of what arrives, an event that comes twice counts once however late, and after a kill there is nothing
to be reconciled: the windows that may have changed are counted again.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.failures import unreadable_files
from app.core.settings import Settings
from app.events.archive import ARCHIVE_SCHEMA
from app.events.category import main_category
from app.events.clean import known_price
from app.events.identity import identity
from app.events.layout import layout_of
from app.events.revenue import revenue_cents
from app.stream.away_files import read_through
from app.stream.intake import MINUTE


def window_counts(events: DataFrame, starts: Collection[int], settings: Settings) -> DataFrame:
    """Distinct events and revenue by window, event type and main category.

    Parameters
    ----------
    events
        `ARCHIVE_SCHEMA`.
    starts
        Of the windows to count, microseconds since 1970.
    settings
        Length of a window, highest price, layout.

    Returns
    -------
    DataFrame
        start (timestamp of the window), event_type, main_category, events (long), revenue (shop currency;
        purchases only). Copies of an event that differ in what is counted count as the greatest of them.
    """
    start = F.window("event_time", f"{settings.window_minutes} minutes")["start"]
    keys = identity(layout_of(settings))
    named = ("event_time", "event_type", "category_code", "price", "quantity")
    others = [name for name in named if name not in keys]
    lowest, highest = (_moment(moment) for moment in (min(starts), max(starts) + settings.window_minutes * MINUTE))
    wanted = F.col("event_time").between(lowest, highest)
    once = (
        events.where(wanted)
        .withColumn("price", known_price(F.col("price"), settings.max_price))
        .groupBy(*keys)
        .agg(F.max(F.struct(*others)).alias("others"))
        .select(*keys, "others.*")
        .withColumn("start", start)
        .where(F.unix_micros("start").isin([*starts]))
    )
    return (
        once.groupBy("start", "event_type", main_category())
        .agg(
            F.count("*").alias("events"),
            (F.coalesce(F.sum(revenue_cents()), F.lit(0)) / 100).alias("revenue"),
        )
        .select("start", "event_type", "main_category", "events", "revenue")
    )


def count_windows(spark: SparkSession, files: Sequence[Path], starts: Collection[int], settings: Settings) -> pa.Table:
    """`window_counts` of these files: bounded by windows × event types × main categories.

    A damaged file is passed over: the accounts tell of it.

    Raises
    ------
    OSError
        The system does not give a file now: without its rows counts would be too low, and stay so.
    """

    def counts(*, whole: bool) -> pa.Table:
        reader = spark.read.schema(ARCHIVE_SCHEMA).option("ignoreCorruptFiles", not whole)
        return window_counts(reader.parquet(*map(str, files)), starts, settings).toArrow()

    try:
        return counts(whole=True)
    except Exception as error:  # Spark would pass over what it can't read for any reason
        for path in files:
            read_through(path)
        if next(unreadable_files(error), None) is None:
            raise
    return counts(whole=False)


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
