"""The events table: what a row of the log is, before and after cleaning.

The layout is that of the REES46 "eCommerce behavior data from multi category store" months.
"""

from pyspark.sql import types as T

VIEW, CART, REMOVE, PURCHASE = "view", "cart", "remove_from_cart", "purchase"
EVENT_TYPES = (VIEW, CART, REMOVE, PURCHASE)
UNKNOWN = "unknown"  #: stands for a missing attribute; never one that two products share

#: Columns of the log, all read as text so that a bad value can be told from a missing one.
RAW_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)

#: One row per distinct event. `copies` and `listed_price` let exploration speak of the rows as read.
CLEANED_SCHEMA = T.StructType(
    [
        T.StructField("event_time", T.TimestampType()),
        T.StructField("event_type", T.StringType()),
        T.StructField("product_id", T.LongType()),
        T.StructField("category_id", T.LongType()),
        T.StructField("category_code", T.StringType()),  # "unknown" where missing
        T.StructField("main_category", T.StringType()),  # first part of category_code
        T.StructField("brand", T.StringType()),  # "unknown" where missing
        T.StructField("price", T.DoubleType()),  # shop currency; null where missing, <= 0 or implausible
        T.StructField("listed_price", T.DoubleType()),  # as read; null where it was no number
        T.StructField("user_id", T.LongType()),
        T.StructField("user_session", T.StringType()),  # null where missing
        T.StructField("hour", T.IntegerType()),
        T.StructField("minute", T.IntegerType()),
        T.StructField("second", T.IntegerType()),
        T.StructField("day", T.IntegerType()),
        T.StructField("month", T.IntegerType()),
        T.StructField("dayofweek", T.IntegerType()),  # 1 = Sunday, as Spark
        T.StructField("date", T.DateType()),
        T.StructField("hour_bucket", T.TimestampType()),
        T.StructField("copies", T.LongType()),  # identical rows in the log, 1 where none was doubled
    ]
)

#: Rows that can't be events.
REJECTED_SCHEMA = T.StructType(
    [
        T.StructField("reason", T.StringType()),
        T.StructField("row", T.StringType()),
        T.StructField("source_file", T.StringType()),
    ]
)
