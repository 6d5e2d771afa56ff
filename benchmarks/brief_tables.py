"""What the brief makes of the log before anything is learned: its exploration, its cleaning, its features.

Where this is not as printed, `brief.py` says so.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SCHEMA = (
    "event_time timestamp, event_type string, product_id int, category_id bigint, category_code string, brand string, "
    "price double, user_id int, user_session string"
)


def of_type(event_type: str, value: Column | int = 1) -> Column:
    """The sum over events of a type."""
    return F.sum(F.when(F.col("event_type") == event_type, value).otherwise(0))


def explore(raw: DataFrame) -> None:
    """The report's tables, in its order."""
    raw.show(5)
    raw.groupBy("event_type").count().orderBy(F.desc("count")).show()
    raw.select([F.sum(F.col(name).isNull().cast("int")).alias(name) for name in raw.columns]).show()
    raw.groupBy(F.dayofmonth("event_time").alias("day")).count().orderBy("day").show(10)
    raw.groupBy(F.hour("event_time").alias("hour")).count().orderBy("hour").show(10)
    raw.groupBy("event_type").agg(F.avg("price"), F.min("price"), F.max("price"), F.count("price")).show()
    sessions = raw.groupBy("user_session").agg(
        F.count("*").alias("events"),
        ((F.max("event_time").cast("long") - F.min("event_time").cast("long")) / 60).alias("minutes"),
    )
    sessions.select("events").summary("count", "mean", "stddev", "min", "25%", "50%", "75%", "max").show()
    sessions.agg(F.avg("minutes"), F.percentile_approx("minutes", 0.5)).show()


def preprocess_data(raw: DataFrame) -> DataFrame:
    """Parts of the time, "unknown" for what is missing, prices above 0 or none."""
    code, time = F.col("category_code"), F.col("event_time")
    return (
        raw.withColumn("hour", F.hour(time))
        .withColumn("minute", F.minute(time))
        .withColumn("second", F.second(time))
        .withColumn("day", F.dayofmonth(time))
        .withColumn("month", F.month(time))
        .withColumn("dayofweek", F.dayofweek(time))
        .withColumn("date", F.date_format(time, "yyyy-MM-dd"))
        .withColumn("hour_bucket", F.date_format(time, "yyyy-MM-dd HH:00:00"))
        .withColumn("category_code", F.when(code.isNull() | (code == "NaN"), "unknown").otherwise(code))
        .withColumn("brand", F.coalesce("brand", F.lit("unknown")))
        .withColumn("price", F.when(F.col("price") > 0, F.col("price")))
    )


def prepare_user_features(cleaned: DataFrame) -> DataFrame:
    """Recency, frequency, money and behaviour of each user."""
    latest = cleaned.select(F.max("event_time")).first()
    assert latest is not None
    views, carts, purchases = F.col("views"), F.col("carts"), F.col("purchases")
    return (
        cleaned.groupBy("user_id")
        .agg(
            F.datediff(F.lit(latest[0]), F.max("event_time")).alias("recency"),
            F.countDistinct(F.col("event_time").cast("date")).alias("frequency"),
            of_type("purchase", F.col("price")).alias("monetary"),
            F.count("*").alias("total_events"),
            of_type("view").alias("views"),
            of_type("cart").alias("carts"),
            of_type("purchase").alias("purchases"),
            of_type("remove_from_cart").alias("removals"),
            F.countDistinct("product_id").alias("unique_products"),
            F.countDistinct("category_code").alias("unique_categories"),
            F.countDistinct("brand").alias("unique_brands"),
            F.avg("price").alias("avg_price"),
        )
        .withColumn("conversion_rate", F.when(views > 0, purchases / views).otherwise(0))
        .withColumn("cart_abandonment", F.when(carts > 0, (carts - purchases) / carts).otherwise(0))
    )


def prepare_product_features(cleaned: DataFrame) -> DataFrame:
    """Events, popularity and attributes of each product."""
    code = F.col("category_code")
    popularity = F.col("total_purchases") * 3 + F.col("total_carts") * 2 + F.col("total_views")
    return (
        cleaned.groupBy("product_id")
        .agg(
            F.count("*").alias("total_events"),
            of_type("view").alias("total_views"),
            of_type("cart").alias("total_carts"),
            of_type("purchase").alias("total_purchases"),
            F.countDistinct("user_id").alias("unique_users"),
            F.avg("price").alias("avg_price"),
            F.first("category_code").alias("category_code"),
            F.first("brand").alias("brand"),
        )
        .withColumn("category", F.when(code.isNull(), "unknown").otherwise(F.split(code, r"\\.")[0]))
        .drop("category_code")
        .withColumn("enhanced_popularity_score", popularity / F.col("unique_users"))
    )
