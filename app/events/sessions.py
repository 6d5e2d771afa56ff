"""Sessions: by the given id, or by idle time where none is given."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def with_session_id(events: DataFrame, idle_minutes: int) -> DataFrame:
    """Events with `session_id`: `user_session`, or user and number of the visit where it is null.

    Parameters
    ----------
    events
        The events table.
    idle_minutes
        A longer gap between two events of a user without a given id starts a new session.
    """
    given = events.where(F.col("user_session").isNotNull()).withColumn("session_id", F.col("user_session"))
    by_time = Window.partitionBy("user_id").orderBy("event_time", "product_id", "event_type")
    gap = F.col("event_time").cast("long") - F.lag("event_time").over(by_time).cast("long")
    starts = F.when(gap.isNull() | (gap > idle_minutes * 60), 1).otherwise(0)
    derived = (
        events.where(F.col("user_session").isNull())
        .withColumn("_starts", starts)
        .withColumn("_number", F.sum("_starts").over(by_time))
        .withColumn("session_id", F.concat_ws("-", F.lit("idle"), "user_id", "_number"))
        .drop("_starts", "_number")
    )
    return given.unionByName(derived)
