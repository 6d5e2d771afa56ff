"""Product features: counts, attributes and popularity."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.events.vocabulary import UNKNOWN

PRODUCT_SCHEMA = T.StructType(
    [
        T.StructField("product_id", T.LongType()),
        T.StructField("category_code", T.StringType()),  # latest known, else "unknown"
        T.StructField("category", T.StringType()),  # its first part
        T.StructField("brand", T.StringType()),  # latest known, else "unknown"
        T.StructField("avg_price", T.DoubleType()),  # mean of known prices; null if none
        T.StructField("total_events", T.LongType()),
        T.StructField("total_views", T.LongType()),
        T.StructField("total_carts", T.LongType()),
        T.StructField("total_purchases", T.LongType()),
        T.StructField("unique_users", T.LongType()),
        T.StructField("enhanced_popularity_score", T.DoubleType()),
        T.StructField("popularity", T.DoubleType()),  # time-decayed ratings, each user's capped
        T.StructField("first_seen", T.TimestampType()),
        T.StructField("last_seen", T.TimestampType()),
    ]
)


def product_attributes(events: DataFrame) -> DataFrame:
    """The latest known category and brand of each product.

    The brief takes `first(brand)`, which differs from run to run. "unknown" is taken only when
    nothing else was ever said; a tie in time goes to the greater text.

    Returns
    -------
    DataFrame
        product_id, category_code, brand.
    """
    said = events.groupBy("product_id", "category_code", "brand").agg(F.max("event_time").alias("at"))
    latest = lambda name: F.max(  # noqa: E731
        F.when(F.col(name) != UNKNOWN, F.struct("at", name))
    ).getField(name)
    return said.groupBy("product_id").agg(
        F.coalesce(latest("category_code"), F.lit(UNKNOWN)).alias("category_code"),
        F.coalesce(latest("brand"), F.lit(UNKNOWN)).alias("brand"),
    )


def product_features(pairs: DataFrame, attributes: DataFrame) -> DataFrame:
    """One row per product.

    `enhanced_popularity_score` is the brief's (3 purchases + 2 carts + views) / unique users, kept
    as a column; ranking uses `popularity`, in which one user with many views can't outdo a
    bestseller.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    attributes
        `product_attributes`.

    Returns
    -------
    DataFrame
        `PRODUCT_SCHEMA`.
    """
    sums = pairs.groupBy("product_id").agg(
        F.sum("views").alias("total_views"),
        F.sum("carts").alias("total_carts"),
        F.sum("purchases").alias("total_purchases"),
        F.sum(F.col("views") + F.col("carts") + F.col("removals") + F.col("purchases")).alias("total_events"),
        F.count("*").alias("unique_users"),
        (F.sum("price_cents") / F.sum("prices") / 100).alias("avg_price"),
        F.round(F.sum("decayed"), 4).alias("popularity"),
        F.min("first_seen").alias("first_seen"),
        F.max("last_seen").alias("last_seen"),
    )
    score = (3 * F.col("total_purchases") + 2 * F.col("total_carts") + F.col("total_views")) / F.col("unique_users")
    return (
        sums.join(attributes, "product_id", how="inner")
        .withColumn("category", F.split_part("category_code", F.lit("."), F.lit(1)))
        .withColumn("enhanced_popularity_score", score)
        .select(*PRODUCT_SCHEMA.fieldNames())
        .to(PRODUCT_SCHEMA)
    )
