"""The events table: what a row of the log is after cleaning, as Spark's types."""

from pyspark.sql import types as T

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
        T.StructField("quantity", T.DoubleType()),  # 1 where not given, 0 where it is none, or no likely one
        T.StructField("user_key", T.StringType()),  # the shop's own id; null where ids are integers
        T.StructField("product_key", T.StringType()),  # likewise
        T.StructField("event_id", T.StringType()),  # null where the layout has none
        T.StructField("order_id", T.StringType()),  # likewise; lines of one purchase share it
        T.StructField("recommendation_id", T.StringType()),  # of the list that led here; null where not known
        T.StructField("hour", T.IntegerType()),
        T.StructField("minute", T.IntegerType()),
        T.StructField("second", T.IntegerType()),
        T.StructField("day", T.IntegerType()),
        T.StructField("month", T.IntegerType()),
        T.StructField("dayofweek", T.IntegerType()),  # 1 = Sunday, as Spark
        T.StructField("date", T.DateType()),
        T.StructField("hour_bucket", T.TimestampType()),
        T.StructField("copies", T.LongType()),  # rows of the log that are this event, 1 where none was doubled
        T.StructField("session_id", T.StringType()),  # user_session, or user and number of the visit where it is null
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
