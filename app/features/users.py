"""User features: recency, frequency, monetary value and behaviour."""

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.events.vocabulary import UNKNOWN

USER_SCHEMA = T.StructType(
    [
        T.StructField("user_id", T.LongType()),
        T.StructField("user_key", T.StringType()),  # the shop's own id; null where it is the number
        T.StructField("recency", T.IntegerType()),  # days from the last event to the end of the data
        T.StructField("frequency", T.LongType()),  # days with an event
        T.StructField("monetary", T.DoubleType()),  # paid, shop currency
        T.StructField("views", T.LongType()),
        T.StructField("carts", T.LongType()),
        T.StructField("purchases", T.LongType()),
        T.StructField("removals", T.LongType()),
        T.StructField("total_events", T.LongType()),
        T.StructField("sessions", T.LongType()),
        T.StructField("unique_products", T.LongType()),
        T.StructField("unique_categories", T.LongType()),
        T.StructField("unique_brands", T.LongType()),
        T.StructField("avg_price", T.DoubleType()),  # of the products looked at; null if none is known
        T.StructField("conversion_rate", T.DoubleType()),  # purchases / views, 0..1
        T.StructField("cart_abandonment", T.DoubleType()),  # 0..1; null without a decided cart
        T.StructField("first_seen", T.TimestampType()),
        T.StructField("last_seen", T.TimestampType()),
    ]
)


def user_features(
    pairs: DataFrame,
    attributes: DataFrame,
    sessions: DataFrame,
    active_days: DataFrame,
    carts: DataFrame,
    as_of: datetime,
) -> DataFrame:
    """One row per user.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    attributes
        `product_attributes`; "unknown" is not counted as a category or brand.
    sessions
        `session_table`.
    active_days
        `user_active_days`.
    carts
        `cart_outcomes`.
    as_of
        End of the data.

    Returns
    -------
    DataFrame
        `USER_SCHEMA`.
    """
    codes = attributes.select("product_id", _known("category_code"), _known("brand"))
    sums = (
        pairs.join(F.broadcast(codes), "product_id", how="left")
        .groupBy("user_id")
        .agg(
            F.sum("views").alias("views"),
            F.sum("carts").alias("carts"),
            F.sum("purchases").alias("purchases"),
            F.sum("removals").alias("removals"),
            F.sum(F.col("views") + F.col("carts") + F.col("removals") + F.col("purchases")).alias("total_events"),
            F.count("*").alias("unique_products"),
            F.size(F.collect_set("category_code")).cast("long").alias("unique_categories"),
            F.size(F.collect_set("brand")).cast("long").alias("unique_brands"),
            (F.sum("price_cents") / F.sum("prices") / 100).alias("avg_price"),
            (F.coalesce(F.sum("paid_cents"), F.lit(0)) / 100).alias("monetary"),
            F.min("first_seen").alias("first_seen"),
            F.max("last_seen").alias("last_seen"),
            F.max("user_key").alias("user_key"),
        )
    )
    visits = sessions.groupBy("user_id").agg(F.count("*").alias("sessions"))
    # More purchases than views happens (a view is lost, an order is repeated): a rate stays a rate.
    rate = F.when(F.col("views") > 0, F.least(F.col("purchases") / F.col("views"), F.lit(1.0))).otherwise(0.0)
    return (
        sums.join(visits, "user_id", how="left")
        .join(active_days, "user_id", how="left")
        .join(carts, "user_id", how="left")
        .withColumn("recency", F.date_diff(F.lit(as_of).cast("timestamp"), "last_seen"))
        .withColumn("conversion_rate", rate)
        .withColumn("cart_abandonment", F.col("abandoned_pairs") / F.col("carted_pairs"))
        .select(*USER_SCHEMA.fieldNames())
        .to(USER_SCHEMA)
    )


def _known(name: str) -> Column:
    """A hash of the text, null where it is unknown."""
    return F.when(F.col(name) != UNKNOWN, F.xxhash64(name)).alias(name)


def user_active_days(events: DataFrame) -> DataFrame:
    """Days with at least one event: user_id, frequency."""
    days = events.select("user_id", "date").distinct()
    return days.groupBy("user_id").agg(F.count("*").alias("frequency"))
