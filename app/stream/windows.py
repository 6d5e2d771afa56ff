"""Counts of events in windows of time, for the live dashboards."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.events.identity import BY_ID, identity
from app.events.layout import layout_of
from app.events.revenue import revenue_cents
from app.stream.source import valid


def window_counts(events: DataFrame, settings: Settings) -> DataFrame:
    """Distinct events and revenue by window, event type and main category, in update mode.

    An event that comes twice within the watermark counts once; one that comes later than the
    watermark is not counted.

    Returns
    -------
    DataFrame
        Streaming; start (timestamp of the window), event_type, main_category, events (long),
        revenue (shop currency; purchases only).
    """
    category = F.split_part("category_code", F.lit("."), F.lit(1))
    keys = identity(layout_of(settings))
    taken = dict.fromkeys([*keys, "event_time", "event_type", "category_code", "price", "quantity"])
    events = valid(events).select(*taken).withWatermark("event_time", f"{settings.watermark_minutes} minutes")
    # Spark forgets what it has seen by the time of the event: an id alone would be kept for ever.
    once = events.dropDuplicatesWithinWatermark(list(keys)) if keys == BY_ID else events.dropDuplicates(list(keys))
    return (
        once.groupBy(
            F.window("event_time", f"{settings.window_minutes} minutes").alias("window"),
            "event_type",
            category.alias("main_category"),
        )
        .agg(
            F.count("*").alias("events"),
            (F.coalesce(F.sum(revenue_cents()), F.lit(0)) / 100).alias("revenue"),
        )
        .select(F.col("window.start").alias("start"), "event_type", "main_category", "events", "revenue")
    )
