"""Cleaning: from rows of text to the events table, with every row accounted for."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.read import CORRUPT, SOURCE_FILE
from app.events.schema import CLEANED_SCHEMA, EVENT_TYPES, RAW_COLUMNS, REJECTED_SCHEMA, UNKNOWN

EARLIEST = "2000-01-01 00:00:00"  #: an earlier time is a clock error, and would spoil every recency
TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?( ?UTC|Z|[+-]\d{2}:?\d{2})?$"
MISSING_TEXT = ("", "nan", "null", "none")

#: Why a row can't be an event, in the order in which they are tested.
REASONS = (
    "wrong column count or quoting",
    "unparsable event_time",
    "event_time out of range",
    "unknown event_type",
    "missing or invalid product_id",
    "missing or invalid user_id",
)
IDENTITY = ("event_time", "event_type", "product_id", "category_id", "category_code", "brand", "listed_price")


def parse(raw: DataFrame, latest: datetime | Column, max_price: float, keep: Sequence[str] = ()) -> DataFrame:
    """Typed columns beside the reason why a row can't be an event.

    Parameters
    ----------
    raw
        Rows of `app.events.read.read_events`.
    latest
        Events after this moment (UTC), or after this column of the same row, are out of range.
    max_price
        Prices above are taken as missing.
    keep
        Further columns to hand on.

    Returns
    -------
    DataFrame
        Typed columns of an event, `reason` (null for an event), `_corrupt`, `source_file`, and the
        row's text as `row` where it is rejected.
    """
    event_time = F.when(F.col("event_time").rlike(TIME_PATTERN), F.col("event_time").try_cast("timestamp"))
    price = F.col("price").try_cast("double")  # NaN, which Spark orders above every number, is as good as none
    typed = raw.select(
        event_time.alias("event_time"),
        F.trim(F.lower("event_type")).alias("event_type"),
        F.col("product_id").try_cast("long").alias("product_id"),
        F.col("category_id").try_cast("long").alias("category_id"),
        _text_or_unknown("category_code").alias("category_code"),
        _text_or_unknown("brand").alias("brand"),
        F.when(F.abs(price) < float("inf"), price).alias("listed_price"),
        F.col("user_id").try_cast("long").alias("user_id"),
        F.when(~F.lower("user_session").isin(*MISSING_TEXT), F.col("user_session")).alias("user_session"),
        CORRUPT,
        SOURCE_FILE,
        *keep,
        F.concat_ws(",", *(F.coalesce(name, F.lit("")) for name in RAW_COLUMNS)).alias("text"),
    )
    reason = _reason(latest)
    return typed.withColumn("reason", reason).withColumn("price", _price(max_price))


def _text_or_unknown(name: str) -> Column:
    text = F.trim(name)
    return F.when(F.lower(text).isin(*MISSING_TEXT) | text.isNull(), UNKNOWN).otherwise(text)


def _price(max_price: float) -> Column:
    listed = F.col("listed_price")
    return F.when((listed > 0) & (listed <= max_price), listed)


def _reason(latest: datetime | Column) -> Column:
    time = F.col("event_time")
    end = latest if isinstance(latest, Column) else F.lit(f"{latest:%Y-%m-%d %H:%M:%S}").cast("timestamp")
    tests = (
        F.col(CORRUPT).isNotNull(),
        time.isNull(),
        (time < F.lit(EARLIEST).cast("timestamp")) | (time > end),
        F.col("event_type").isNull() | ~F.col("event_type").isin(*EVENT_TYPES),
        F.col("product_id").isNull(),
        F.col("user_id").isNull(),
    )
    return F.coalesce(*(F.when(test, F.lit(name)) for test, name in zip(tests, REASONS, strict=True)))


def rejected_rows(parsed: DataFrame) -> DataFrame:
    """Rows that can't be events, as `REJECTED_SCHEMA`."""
    rejected = parsed.where(F.col("reason").isNotNull())
    row = F.coalesce(F.col(CORRUPT), F.col("text")).alias("row")
    return rejected.select("reason", row, SOURCE_FILE).to(REJECTED_SCHEMA)


def clean(parsed: DataFrame) -> DataFrame:
    """The events table: distinct events, cleaned as the brief says, sorted by user and time.

    Parameters
    ----------
    parsed
        Rows of `parse`.

    Returns
    -------
    DataFrame
        `CLEANED_SCHEMA`; all events of a user in one partition.
    """
    # Hashed by user first: the grouping below then needs no shuffle of its own, and the files keep
    # each user together, so that later per-user sums are nearly done before they are shuffled.
    events = parsed.where(F.col("reason").isNull()).repartition("user_id")
    distinct = events.groupBy(*IDENTITY, "price", "user_id", "user_session").agg(F.count("*").alias("copies"))
    time = F.col("event_time")
    return (
        distinct.withColumns(
            {
                "main_category": F.split_part("category_code", F.lit("."), F.lit(1)),
                "hour": F.hour(time),
                "minute": F.minute(time),
                "second": F.second(time),
                "day": F.dayofmonth(time),
                "month": F.month(time),
                "dayofweek": F.dayofweek(time),
                "date": F.to_date(time),
                "hour_bucket": F.date_trunc("hour", time),
            }
        )
        .select(*CLEANED_SCHEMA.fieldNames())
        .sortWithinPartitions("user_id", "event_time", "product_id", "event_type", "user_session")
        .to(CLEANED_SCHEMA)
    )
