"""Counts of events in windows of time, for the live dashboards."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.events.schema import PURCHASE
from app.stream.source import valid

IDENTITY = ("event_time", "event_type", "product_id", "user_id", "user_session")


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
    cents = F.round(F.col("price") * 100).cast("long")
    category = F.split_part("category_code", F.lit("."), F.lit(1))
    return (
        valid(events)
        .select(*IDENTITY, "category_code", "price")
        .withWatermark("event_time", f"{settings.watermark_minutes} minutes")
        .dropDuplicates(list(IDENTITY))
        .groupBy(
            F.window("event_time", f"{settings.window_minutes} minutes").alias("window"),
            "event_type",
            category.alias("main_category"),
        )
        .agg(
            F.count("*").alias("events"),
            (F.coalesce(F.sum(F.when(F.col("event_type") == PURCHASE, cents)), F.lit(0)) / 100).alias("revenue"),
        )
        .select(F.col("window.start").alias("start"), "event_type", "main_category", "events", "revenue")
    )
