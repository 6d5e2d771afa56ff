"""Rows of forgotten users, left out as Spark reads them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.events.canonical import LEFT_OUT
from app.events.forgotten import DIGEST_LENGTH, Forgotten

FORGOTTEN = "of a forgotten user"  #: reason of `left_out`
DIGEST, UNTIL = "_digest", "_until"


def without_forgotten(parsed: DataFrame, forgotten: Forgotten) -> DataFrame:
    """Leave out what users did before they were forgotten, and what of theirs can't be an event.

    Parameters
    ----------
    parsed
        Rows of `app.events.clean.parse`.
    forgotten
        The list.
    """
    if not forgotten:
        return parsed
    listed = parsed.sparkSession.createDataFrame(
        list(forgotten.moments.items()), f"{DIGEST} string not null, {UNTIL} long not null"
    )
    text = F.concat(F.lit(forgotten.salt), F.col("user_id").cast("string"))
    hashed = F.substring(F.sha2(text, 256), 1, DIGEST_LENGTH)
    joined = parsed.withColumn(DIGEST, hashed).join(F.broadcast(listed), DIGEST, how="left")
    before = F.col("event_time").isNull() | (F.unix_micros("event_time") <= F.col(UNTIL))
    theirs = F.col(UNTIL).isNotNull() & before
    return (
        joined.withColumn(LEFT_OUT, F.when(theirs, FORGOTTEN).otherwise(F.col(LEFT_OUT)))
        .withColumn("reason", F.when(~theirs, F.col("reason")))
        .select(parsed.columns)
    )
