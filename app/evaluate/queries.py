"""The split in time, and the queries asked of the slice after it.

Train before the cut, test after it, never at random: a random split lets a model see the future
(Ji et al., "A Critical Study on Data Leakage in Recommender System Offline Evaluation", 2023).
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.evaluate.names import SESSION, USER
from app.events.identity import SESSION_EVENT
from app.events.vocabulary import TOUCHES
from app.features.sessions import fold

TASKS = {
    SESSION: "the rest of a session, from its first events: one query per session of the test slice with at least "
    "two different products, cut at a place chosen by hash; the product on screen counts neither way",
    USER: "what a user will look at in the test slice, before the first click: one query per user",
}
HASH_BUCKETS = 1_000_000


def session_queries(
    test: DataFrame, known_users: DataFrame, limit: int, max_events: int, max_products: int
) -> DataFrame:
    """Queries of the task `session`.

    Parameters
    ----------
    test
        Events after the cut, with session_id.
    known_users
        user_id, segment: users seen before the cut.
    limit
        About how many queries are kept, sampled by hash of the session.
    max_events, max_products
        Bounds of what is known of a session, as in training and stream.

    Returns
    -------
    DataFrame
        task, query (long), user_id, segment (null if unknown), asked_at (long, seconds),
        `TOUCHES` (the session so far), relevant (array of long).
    """
    event = F.struct(*SESSION_EVENT)
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
        F.slice("events", F.greatest(cut - max_events + 1, F.lit(1)), F.least(cut, F.lit(max_events))).alias("past"),
        F.slice("events", cut + 1, F.size("events")).alias("future"),
    )
    current = F.element_at("past.product_id", -1)
    queries = cut_sessions.withColumn(
        "relevant", F.array_except(F.array_distinct("future.product_id"), F.array(current))
    ).where(F.size("relevant") > 0)
    sampled = _sample(queries, limit)
    return (
        sampled.select("query", "user_id", "relevant")
        .join(fold(sampled, "past", ["query"], max_products), "query", how="inner")
        .withColumn("asked_at", F.element_at("times", -1).cast("long"))
        .join(known_users, "user_id", how="left")
        .select(F.lit(SESSION).alias("task"), *QUERY_COLUMNS)
    )


QUERY_COLUMNS = ("query", "user_id", "segment", "asked_at", *TOUCHES, "relevant")


def user_queries(test: DataFrame, known_users: DataFrame, limit: int) -> DataFrame:
    """Queries of the task `user`; columns as `session_queries`, with an empty session."""
    by_user = test.groupBy("user_id").agg(
        F.sort_array(F.collect_set("product_id")).alias("relevant"),
        F.min("event_time").cast("long").alias("asked_at"),
    )
    sampled = _sample(by_user.withColumn("query", F.xxhash64("user_id")), limit)
    nothing = dict(zip(TOUCHES, ("bigint", "int", "float", "double"), strict=True))
    return (
        sampled.join(known_users, "user_id", how="left")
        .withColumns({name: F.array().cast(f"array<{kind}>") for name, kind in nothing.items()})
        .select(F.lit(USER).alias("task"), *QUERY_COLUMNS)
    )


def _sample(queries: DataFrame, limit: int) -> DataFrame:
    """About `limit` of the queries, the same ones in every run."""
    total = queries.count()
    if total <= limit:
        return queries
    bucket = F.pmod(F.xxhash64("query", F.lit("sample")), F.lit(HASH_BUCKETS))
    return queries.where(bucket < int(limit / total * HASH_BUCKETS))
