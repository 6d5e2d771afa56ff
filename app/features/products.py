"""Product features: counts, attributes and popularity."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.events.category import main_category
from app.events.vocabulary import UNKNOWN

PRODUCT_SCHEMA = T.StructType(
    [
        T.StructField("product_id", T.LongType()),
        T.StructField("product_key", T.StringType()),  # the shop's own id; null where it is the number
        T.StructField("title", T.StringType()),  # of the catalogue; null without one
        T.StructField("category_code", T.StringType()),  # of the catalogue, else latest known, else "unknown"
        T.StructField("category", T.StringType()),  # its first part
        T.StructField("brand", T.StringType()),  # likewise
        T.StructField("avg_price", T.DoubleType()),  # mean of known prices, else the catalogue's; null if none
        T.StructField("available", T.BooleanType()),  # false where the catalogue says so
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


def product_attributes(events: DataFrame, catalogue: DataFrame | None = None) -> DataFrame:
    """What is known of each product.

    Of the catalogue, else the latest known category and brand. "unknown" is taken only when nothing else was ever
    said; a tie in time goes to the greater text.

    Parameters
    ----------
    events
        The events table.
    catalogue
        `app.events.catalogue.CATALOGUE_SCHEMA`; its products are there even if nobody has touched them.

    Returns
    -------
    DataFrame
        product_id, product_key, title, category_code, brand, price (of the catalogue), available.
    """
    said = events.groupBy("product_id", "category_code", "brand").agg(
        F.max("event_time").alias("at"), F.max("product_key").alias("product_key")
    )

    def latest(name: str) -> Column:
        known = F.max(F.when(F.col(name) != UNKNOWN, F.struct("at", name))).getField(name)
        return F.coalesce(known, F.lit(UNKNOWN)).alias(name)

    seen = said.groupBy("product_id").agg(
        F.max("product_key").alias("product_key"), latest("category_code"), latest("brand")
    )
    if catalogue is None:
        nothing = {"title": "string", "price": "double"}
        empty = {name: F.lit(None).cast(kind) for name, kind in nothing.items()}
        return seen.withColumns(empty | {"available": F.lit(True)}).select("product_id", *ATTRIBUTES)
    named = catalogue.withColumnsRenamed({name: f"named_{name}" for name in ATTRIBUTES})
    both = seen.join(named, "product_id", how="full_outer")
    return both.select(
        "product_id",
        F.coalesce("product_key", "named_product_key").alias("product_key"),
        F.col("named_title").alias("title"),
        *(
            F.coalesce(F.nullif(F.col(f"named_{name}"), F.lit(UNKNOWN)), name, F.lit(UNKNOWN)).alias(name)
            for name in ("category_code", "brand")
        ),
        F.col("named_price").alias("price"),
        F.coalesce("named_available", F.lit(True)).alias("available"),
    )


ATTRIBUTES = ("product_key", "title", "category_code", "brand", "price", "available")


def product_features(pairs: DataFrame, attributes: DataFrame) -> DataFrame:
    """One row per product, of those that nobody has touched as well.

    `enhanced_popularity_score` is (3 purchases + 2 carts + views) / unique users, kept as a column; ranking uses
    `popularity`, in which one user with many views can't outdo a bestseller.

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
    counted = ("total_views", "total_carts", "total_purchases", "total_events", "unique_users", "popularity")
    score = (3 * F.col("total_purchases") + 2 * F.col("total_carts") + F.col("total_views")) / F.col("unique_users")
    return (
        attributes.join(sums, "product_id", how="left")
        .fillna(0, list(counted))
        .withColumn("avg_price", F.coalesce("avg_price", "price"))
        .withColumn("category", main_category())
        .withColumn("enhanced_popularity_score", F.when(F.col("unique_users") > 0, score).otherwise(0.0))
        .select(*PRODUCT_SCHEMA.fieldNames())
        .to(PRODUCT_SCHEMA)
    )
