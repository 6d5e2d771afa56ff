"""Cleaning: from rows of text to typed rows, each an event, rejected for a reason, or left out by a rule."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.canonical import CORRUPT, LEFT_OUT, ROW_TEXT, SOURCE_FILE, is_missing
from app.events.identity import BY_ID, IDENTITY, identity
from app.events.layout import REES46, Layout
from app.events.schema import REJECTED_SCHEMA
from app.events.times import ISO_PATTERN
from app.events.vocabulary import EARLIEST, EVENT_TYPES, MAX_QUANTITY, UNKNOWN

#: Why a row can't be an event, in the order in which they are tested.
REASONS = (
    "wrong column count or quoting",
    "unparsable event_time",
    "event_time out of range",
    "unknown event_type",
    "missing or invalid product_id",
    "missing or invalid user_id",
)
#: Of rows that are the same event, the one that is greatest in these, in this order, stays.
CHOSEN_BY = (
    "event_time",
    "event_type",
    "product_id",
    "user_id",
    "user_session",
    "listed_price",
    "price",
    "quantity",
    "category_id",
    "category_code",
    "brand",
    "user_key",
    "product_key",
    "event_id",
    "order_id",
    "recommendation_id",
)


def parse(
    rows: DataFrame, latest: datetime | Column, max_price: float, layout: Layout = REES46, keep: Sequence[str] = ()
) -> DataFrame:
    """Typed columns beside the reason why a row can't be an event.

    Parameters
    ----------
    rows
        Rows of `app.events.canonical.canonical`.
    latest
        Events after this moment (UTC), or after this column of the same row, are out of range.
    max_price
        Prices above are taken as missing.
    layout
        Says what ids are, and whether events have one.
    keep
        Further columns to hand on.

    Returns
    -------
    DataFrame
        Typed columns of an event; `left_out` (the rule that leaves the row out, null for others); `reason`
        (why the row can't be an event; null for an event and for what is left out); `_corrupt`,
        `source_file`, and the row's own text as `text`.
    """
    time = F.when(F.col("event_time").rlike(ISO_PATTERN), F.col("event_time").try_cast("timestamp"))
    price = F.col("price").try_cast("double")  # NaN, which Spark orders above every number, is as good as none
    user, product = F.col("user_id"), F.col("product_id")
    typed = rows.select(
        time.alias("event_time"),
        F.trim(F.lower("event_type")).alias("event_type"),
        id_number(product, layout).alias("product_id"),
        F.col("category_id").try_cast("long").alias("category_id"),
        _text_or_unknown("category_code").alias("category_code"),
        _text_or_unknown("brand").alias("brand"),
        F.when(F.abs(price) < float("inf"), price).alias("listed_price"),
        id_number(user, layout).alias("user_id"),
        _given("user_session").alias("user_session"),
        _quantity().alias("quantity"),
        id_key(user, layout).alias("user_key"),
        id_key(product, layout).alias("product_key"),
        _given("event_id").alias("event_id"),
        _given("order_id").alias("order_id"),
        _given("recommendation_id").alias("recommendation_id"),
        LEFT_OUT,
        CORRUPT,
        SOURCE_FILE,
        ROW_TEXT,
        *keep,
    )
    if identity(layout) == BY_ID:  # an event without an id is known by what it is
        typed = typed.withColumn("event_id", F.coalesce("event_id", F.concat_ws("|", *IDENTITY)))
    return typed.withColumn("reason", F.when(F.col(LEFT_OUT).isNull(), _reason(latest))).withColumn(
        "price", known_price(F.col("listed_price"), max_price)
    )


def id_key(text: Column, layout: Layout) -> Column:
    """The shop's own id, where the layout's ids are text; else null."""
    return F.when(~is_missing(text), F.trim(text)) if layout.ids == "text" else F.lit(None).cast("string")


def id_number(text: Column, layout: Layout) -> Column:
    """The internal number of a shop's id: the id itself where it is a 64-bit integer.

    Another text's number is its xxhash64, in batch and stream alike; null where there is no id, or where
    the layout's ids are integers and this is none.
    """
    number = text.try_cast("long")
    if layout.ids == "integer":
        return number
    key = id_key(text, layout)
    # "007" and "+7" are ids of their own: only the one way to write an integer is the integer
    return F.when(number.cast("string") == key, number).when(key.isNotNull(), F.xxhash64(key))


def _given(name: str) -> Column:
    return F.when(~is_missing(F.col(name)), F.trim(name))


def _text_or_unknown(name: str) -> Column:
    return F.when(is_missing(F.col(name)), UNKNOWN).otherwise(F.trim(name))


def _quantity() -> Column:
    """1 where none is given; 0, which brings in nothing, where it is no positive number or larger than any order."""
    number = F.col("quantity").try_cast("double")
    positive = F.when((number > 0) & (number <= MAX_QUANTITY), number).otherwise(0.0)
    return F.when(is_missing(F.col("quantity")), 1.0).otherwise(positive)


def known_price(listed: Column, max_price: float) -> Column:
    """A listed price, null where it can't be one."""
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


def is_event() -> Column:
    """Which rows of `parse` are events."""
    return F.col("reason").isNull() & F.col(LEFT_OUT).isNull()


def rejected_rows(parsed: DataFrame) -> DataFrame:
    """Rows that can't be events, as `REJECTED_SCHEMA`; those that a rule leaves out are none of them."""
    rejected = parsed.where(F.col("reason").isNotNull())
    row = F.coalesce(F.col(CORRUPT), F.col(ROW_TEXT)).alias("row")
    return rejected.select("reason", row, SOURCE_FILE).to(REJECTED_SCHEMA)


def event_rows(parsed: DataFrame, layout: Layout = REES46, parts: int | None = None) -> DataFrame:
    """What `app.events.distinct.events_table` is made of, all rows of a user in one partition.

    Parameters
    ----------
    parsed
        Rows of `parse`.
    layout
        Says what makes two events the same.
    parts
        How many partitions there are; None leaves it to Spark.

    Returns
    -------
    DataFrame
        `CHOSEN_BY` and `copies`; times without a zone, in UTC.
    """
    events = parsed.where(is_event()).select(*CHOSEN_BY, F.lit(1).cast("long").alias("copies"))
    if identity(layout) == BY_ID:  # one id may be told of two users, and is one event all the same
        others = F.struct(*(name for name in CHOSEN_BY if name not in BY_ID))
        events = events.groupBy(*BY_ID).agg(F.max(others).alias("others"), F.count("*").alias("copies"))
        events = events.select(*BY_ID, "others.*", "copies")
    told = events.withColumn("event_time", F.col("event_time").cast("timestamp_ntz"))
    return told.repartition("user_id") if parts is None else told.repartition(parts, "user_id")
