"""Sessions: one row each, and what each was about.

`session_touches` is the fold of `app.serve.sessions` in Spark; a property test holds the two equal.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.identity import SESSION_EVENT
from app.events.vocabulary import CART, MAX_RATING, PURCHASE, REMOVE, VIEW
from app.features.pairs import event_kind, event_rating


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


def session_touches(events: DataFrame, max_events: int, max_products: int) -> DataFrame:
    """The products of each session, once each, by last touch.

    Parameters
    ----------
    events
        Events with session_id, each once.
    max_events
        The latest so many of a session are looked at: a crawler's session must not outweigh a thousand others.
    max_products
        The latest so many of these are kept.

    Returns
    -------
    DataFrame
        user_id, session_id, and `TOUCHES`, arrays of equal length, oldest first.
    """
    event = F.struct(*SESSION_EVENT)
    latest = events.groupBy("user_id", "session_id").agg(F.max_by(event, event, max_events).alias("events"))
    return fold(latest, "events", ["user_id", "session_id"], max_products)


def fold(sessions: DataFrame, events: str, keys: list[str], max_products: int) -> DataFrame:
    """Touches of arrays of events.

    Parameters
    ----------
    sessions
        With the column `events`, an array of struct `SESSION_EVENT`, not empty.
    events
        Its name.
    keys
        Columns that tell the rows apart, and are kept.
    max_products
        The latest so many are kept of each row.

    Returns
    -------
    DataFrame
        `keys` and `TOUCHES`.
    """
    one = sessions.select(*keys, F.explode(events).alias("_event")).select(*keys, "_event.*")
    touched = one.groupBy(*keys, "product_id").agg(
        F.max("event_time").alias("at"),
        F.least(F.sum(event_rating()), F.lit(MAX_RATING)).cast("float").alias("weight"),
        F.max(event_kind()).alias("kind"),
    )
    touch = F.struct("at", "product_id", "kind", "weight")
    return (
        touched.groupBy(*keys)
        .agg(F.sort_array(F.collect_list(touch)).alias("_touches"))
        .withColumn("_touches", last("_touches", max_products))
        .select(*keys, *touch_arrays("_touches"))
    )


def touch_arrays(touches: str) -> list[Column]:
    """`TOUCHES` of an array of struct (at, product_id, kind, weight)."""
    column = F.col(touches)
    return [
        column["product_id"].alias("product_ids"),
        column["kind"].alias("kinds"),
        column["weight"].alias("weights"),
        column["at"].cast("array<double>").alias("times"),
    ]


def last(array: str, n: int) -> Column:
    """The last n entries of an array column (slice alone refuses to start before the first)."""
    return F.slice(array, F.greatest(F.size(array) - n + 1, F.lit(1)), F.lit(n))
