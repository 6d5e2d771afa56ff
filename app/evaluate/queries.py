"""The split in time, and the queries asked of the slice after it.

Train before the cut, test after it, never at random: a random split lets a model see the future
(Ji et al., "A Critical Study on Data Leakage in Recommender System Offline Evaluation", 2023).
"""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.vocabulary import MAX_RATING, PURCHASE
from app.features.pairs import event_rating

SESSION, USER = "session", "user"
TASKS = {
    SESSION: "the rest of a session, from its first events: one query per session of the test slice with at least "
    "two different products, cut at a place chosen by hash; the product on screen counts neither way",
    USER: "what a user will look at in the test slice, before the first click: one query per user",
}
MAX_PREFIX = 50  #: events of a session that a query holds at most
HASH_BUCKETS = 1_000_000


def cut_time(first: datetime, last: datetime, test_days: float) -> datetime:
    """Start of the test slice: `test_days` before the end, at most half of the data."""
    length = min(timedelta(days=test_days), (last - first) / 2)
    return (last - length).replace(microsecond=0)


def session_queries(test: DataFrame, known_users: DataFrame, limit: int) -> DataFrame:
    """Queries of the task `session`.

    Parameters
    ----------
    test
        Events after the cut, with session_id.
    known_users
        user_id, segment: users seen before the cut.
    limit
        About how many queries are kept, sampled by hash of the session.

    Returns
    -------
    DataFrame
        task, query (long), user_id, segment (null if unknown), asked_at (long, seconds),
        product_ids, ratings, bought (arrays: the session so far), relevant (array of long).
    """
    event = F.struct("event_time", "product_id", "event_type")
    sessions = (
        test.groupBy("user_id", "session_id")
        .agg(F.sort_array(F.collect_list(event)).alias("events"))
        .where(F.size(F.array_distinct("events.product_id")) > 1)
        .withColumn("query", F.xxhash64("user_id", "session_id"))
    )
    # At least 1: Spark may work this out before it has dropped the sessions of one event.
    cut = 1 + F.pmod(F.xxhash64("query"), F.greatest(F.size("events") - 1, F.lit(1))).cast("int")
    cut_sessions = sessions.select(
        "query",
        "user_id",
        F.slice("events", F.greatest(cut - MAX_PREFIX + 1, F.lit(1)), F.least(cut, F.lit(MAX_PREFIX))).alias("past"),
        F.slice("events", cut + 1, F.size("events")).alias("future"),
    )
    current = F.element_at("past.product_id", -1)
    queries = cut_sessions.withColumn(
        "relevant", F.array_except(F.array_distinct("future.product_id"), F.array(current))
    ).where(F.size("relevant") > 0)
    sampled = _sample(queries, limit)
    return (
        _with_prefix(sampled)
        .join(known_users, "user_id", how="left")
        .select(F.lit(SESSION).alias("task"), *QUERY_COLUMNS)
    )


QUERY_COLUMNS = (
    "query",
    "user_id",
    "segment",
    "asked_at",
    "product_ids",
    "ratings",
    "bought",
    "relevant",
)


def user_queries(test: DataFrame, known_users: DataFrame, limit: int) -> DataFrame:
    """Queries of the task `user`; columns as `session_queries`, with an empty session."""
    by_user = test.groupBy("user_id").agg(
        F.sort_array(F.collect_set("product_id")).alias("relevant"),
        F.min("event_time").cast("long").alias("asked_at"),
    )
    sampled = _sample(by_user.withColumn("query", F.xxhash64("user_id")), limit)
    return (
        sampled.join(known_users, "user_id", how="left")
        .withColumns(
            {
                "product_ids": F.array().cast("array<bigint>"),
                "ratings": F.array().cast("array<float>"),
                "bought": F.array().cast("array<boolean>"),
            }
        )
        .select(F.lit(USER).alias("task"), *QUERY_COLUMNS)
    )


def _sample(queries: DataFrame, limit: int) -> DataFrame:
    """About `limit` of the queries, the same ones in every run."""
    total = queries.count()
    if total <= limit:
        return queries
    bucket = F.pmod(F.xxhash64("query", F.lit("sample")), F.lit(HASH_BUCKETS))
    return queries.where(bucket < int(limit / total * HASH_BUCKETS))


def _with_prefix(sessions: DataFrame) -> DataFrame:
    """Each product of `past` once, by its last touch, with its capped rating and whether it was bought."""
    by_product = (
        sessions.select("query", F.explode("past").alias("event"))
        .groupBy("query", F.col("event.product_id").alias("product_id"))
        .agg(
            F.max("event.event_time").alias("touched"),
            F.least(F.sum(event_rating("event.event_type")), F.lit(MAX_RATING)).cast("float").alias("rating"),
            F.max(F.col("event.event_type") == PURCHASE).alias("bought"),
        )
    )
    # Ordered as events are: by time, then product, so that the current product comes last.
    entry = F.struct("touched", "product_id", "rating", "bought")
    prefix = by_product.groupBy("query").agg(F.sort_array(F.collect_list(entry)).alias("entries"))
    return sessions.select("query", "user_id", "relevant").join(
        prefix.select(
            "query",
            F.col("entries.product_id").alias("product_ids"),
            F.col("entries.rating").alias("ratings"),
            F.col("entries.bought").alias("bought"),
            F.element_at("entries.touched", -1).cast("long").alias("asked_at"),
        ),
        "query",
        how="inner",
    )
