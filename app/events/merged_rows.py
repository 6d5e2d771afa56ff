"""Rows of users who were merged, read by Spark as those of the users whose they are now."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.merged import Merged

MERGED, SURVIVOR, SURVIVOR_KEY = "_merged", "_survivor", "_survivor_key"


def as_survivors(parsed: DataFrame, merged: Merged) -> DataFrame:
    """The same rows with the ids of survivors.

    Parameters
    ----------
    parsed
        Rows of `app.events.clean.parse`, none of forgotten users, whose list has the ids that events came with.
    merged
        The list.
    """
    if not merged:
        return parsed
    listed = parsed.sparkSession.createDataFrame(
        [(user, survivor, merged.keys[survivor]) for user, survivor in merged.survivors.items()],
        f"{MERGED} long not null, {SURVIVOR} long not null, {SURVIVOR_KEY} string not null",
    )
    joined = parsed.join(F.broadcast(listed), F.col("user_id") == F.col(MERGED), how="left")
    return (
        joined.withColumn("user_id", F.coalesce(SURVIVOR, "user_id"))
        .withColumn("user_key", F.when(F.col("user_key").isNotNull(), F.coalesce(SURVIVOR_KEY, "user_key")))
        .select(parsed.columns)
    )
