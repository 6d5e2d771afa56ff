"""Sessions: by the given id, or by idle time where none is given."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from app.events.identity import ends_session


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
