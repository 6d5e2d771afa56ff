"""Sessions: by the given id, or by idle time where none is given."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from app.events.identity import ends_session
from app.events.vocabulary import CART, PURCHASE, REMOVE, VIEW


def with_session_id(events: DataFrame, idle_minutes: int) -> DataFrame:
    """Events with `session_id`: `user_session`, or user and number of the visit where it is null.

    Parameters
    ----------
    events
        The events table.
    idle_minutes
        Idle time that ends a session without a given id: see `app.events.identity.ends_session`.
    """
    given = events.where(F.col("user_session").isNotNull()).withColumn("session_id", F.col("user_session"))
    by_time = Window.partitionBy("user_id").orderBy("event_time", "product_id", "event_type")
    gap = F.col("event_time").cast("long") - F.lag("event_time").over(by_time).cast("long")
    starts = F.when(gap.isNull() | ends_session(gap, idle_minutes), 1).otherwise(0)
    derived = (
        events.where(F.col("user_session").isNull())
        .withColumn("_starts", starts)
        .withColumn("_number", F.sum("_starts").over(by_time))
        .withColumn("session_id", F.concat_ws("-", F.lit("idle"), "user_id", "_number"))
        .drop("_starts", "_number")
    )
    return given.unionByName(derived)


def session_table(events: DataFrame) -> DataFrame:
    """One row per user and session.

    Parameters
    ----------
    events
        Events with `session_id`.

    Returns
    -------
    DataFrame
        user_id, session_id, start, end (timestamps), events, rows (events with their duplicates),
        views, carts, removals, purchases (counts).
    """
    return events.groupBy("user_id", "session_id").agg(
        F.min("event_time").alias("start"),
        F.max("event_time").alias("end"),
        F.count("*").alias("events"),
        F.sum("copies").alias("rows"),
        F.count_if(F.col("event_type") == VIEW).alias("views"),
        F.count_if(F.col("event_type") == CART).alias("carts"),
        F.count_if(F.col("event_type") == REMOVE).alias("removals"),
        F.count_if(F.col("event_type") == PURCHASE).alias("purchases"),
    )
