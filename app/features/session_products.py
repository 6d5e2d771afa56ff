"""What each session was about: its products, for models that learn from sessions."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.vocabulary import MAX_RATING
from app.features.pairs import event_rating


def session_products(events: DataFrame, max_products: int) -> DataFrame:
    """The products of each session, once each.

    Parameters
    ----------
    events
        Events with session_id.
    max_products
        The latest so many are kept: a crawler's session must not outweigh a thousand others.

    Returns
    -------
    DataFrame
        user_id, session_id, end (timestamp), product_ids, ratings (arrays, by last touch, oldest
        first).
    """
    touched = events.groupBy("user_id", "session_id", "product_id").agg(
        F.max("event_time").alias("at"), F.least(F.sum(event_rating()), F.lit(MAX_RATING)).alias("rating")
    )
    entry = F.struct("at", "product_id", "rating")
    return (
        touched.groupBy("user_id", "session_id")
        .agg(F.max("at").alias("end"), F.sort_array(F.collect_list(entry)).alias("entries"))
        .withColumn("entries", last("entries", max_products))
        .select(
            "user_id",
            "session_id",
            "end",
            F.col("entries.product_id").alias("product_ids"),
            F.col("entries.rating").cast("array<float>").alias("ratings"),
        )
    )


def last(array: str, n: int) -> Column:
    """The last n entries of an array column (slice alone refuses to start before the first)."""
    return F.slice(array, F.greatest(F.size(array) - n + 1, F.lit(1)), F.lit(n))
