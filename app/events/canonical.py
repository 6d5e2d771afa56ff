"""From a shop's columns to ours, as text: the one way for batch and stream, CSV and Parquet."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.events.layout import Layout, Rule, TimeFormat
from app.events.times import EPOCHS, ISO, ISO_PATTERN, OFFSET_PATTERN, has_zone
from app.events.vocabulary import EXTRA_COLUMNS, MISSING_TEXT, RAW_COLUMNS

CORRUPT = "_corrupt"  #: the whole row, where its column count or quoting is wrong
SOURCE_FILE = "source_file"
LEFT_OUT = "left_out"  #: why a rule of the layout leaves the row out; null for all others
ROW_TEXT = "text"  #: the row as it was, for people
CANONICAL = (*RAW_COLUMNS, *EXTRA_COLUMNS, LEFT_OUT, CORRUPT, SOURCE_FILE, ROW_TEXT)

LARGEST_EXACT = 2**53  #: whole numbers up to here are exact in a double
IDS = ("product_id", "user_id", "category_id", "user_session", "event_id", "order_id")


def canonical(rows: DataFrame, layout: Layout, keep: Sequence[str] = ()) -> DataFrame:
    """Canonical columns of a log's rows.

    Parameters
    ----------
    rows
        Rows under the shop's own column names, text (CSV) or typed (Parquet), with `_corrupt` and
        `source_file`.
    layout
        Which of the columns is which, and how they are written.
    keep
        Further columns to hand on.

    Returns
    -------
    DataFrame
        `CANONICAL` and `keep`, all of `CANONICAL` text: times in UTC like "2019-10-01 00:00:00", event types
        in our words where the layout knows the shop's; null where the layout has no such column.
    """
    shop = ShopColumns(rows)
    columns = layout.columns
    ids = [columns.event_id] if isinstance(columns.event_id, str) else columns.event_id or ()
    text = {name: shop.text(value, name in IDS) for name, value in columns if name != "event_id"}
    text |= {
        "event_time": shop.time(columns.event_time, layout.time),
        "event_type": _event_type(text["event_type"], layout),
        "event_id": _joined([shop.text(name, True) for name in ids]),
    }
    as_it_was = [F.coalesce(shop.text(name), F.lit("")) for name in layout.named_columns()]
    return rows.select(
        *(text[name].alias(name) for name in (*RAW_COLUMNS, *EXTRA_COLUMNS)),
        F.when(F.col(CORRUPT).isNull(), _left_out(shop, layout.leave_out)).alias(LEFT_OUT),
        CORRUPT,
        SOURCE_FILE,
        F.concat_ws(",", *as_it_was).alias(ROW_TEXT),
        *keep,
    )


def is_missing(text: Column) -> Column:
    """Whether nothing stands there, or a word for nothing."""
    return text.isNull() | F.lower(F.trim(text)).isin(*MISSING_TEXT)


class ShopColumns:
    """The columns of a shop's table, as expressions of text."""

    def __init__(self, rows: DataFrame):
        self._types = {field.name.lower(): field.dataType for field in rows.schema}  # Spark ignores case

    def text(self, name: str | None, whole: bool = False) -> Column:
        """A column as text, null where there is none; `whole` numbers that were stored as floats lose their ".0"."""
        if name is None:
            return F.lit(None).cast("string")
        column, kind = quoted(name), self._types[name.lower()]
        if isinstance(kind, T.DoubleType | T.FloatType) and whole:
            number = column.try_cast("long")
            exact = (F.abs(column) <= LARGEST_EXACT) & (number == column)
            return F.when(exact, number.cast("string")).otherwise(column.cast("string"))
        if isinstance(kind, T.StringType) and whole:
            # pandas writes the integers of a column with gaps as floats
            return F.when(column.endswith(".0"), F.regexp_replace(column, r"^(-?\d+)\.0$", "$1")).otherwise(column)
        return column.cast("string")

    def time(self, name: str, time: TimeFormat) -> Column:
        """A column of times as text in UTC; null or text that is no time where it can't be read."""
        column, kind = quoted(name), self._types[name.lower()]
        if isinstance(kind, T.TimestampType):
            return column.cast("string")
        if isinstance(kind, T.TimestampNTZType | T.DateType):
            return _to_utc(column.cast("timestamp"), time.zone).cast("string")
        if isinstance(kind, T.LongType) and time.format == ISO:  # nanoseconds, as pandas writes times
            return F.timestamp_micros(F.call_function("div", column, F.lit(1000))).cast("string")
        text = F.trim(column.cast("string")) if time.format != ISO else column.cast("string")
        if time.format == ISO:
            return text if time.zone == "UTC" else _local_iso(text, time.zone)
        if time.format in EPOCHS:
            micros = text.try_cast("decimal(26,6)") * EPOCHS[time.format]
            return F.timestamp_micros(micros.try_cast("long")).cast("string")
        moment = F.try_to_timestamp(text, F.lit(time.format))
        return (moment if has_zone(time.format) else _to_utc(moment, time.zone)).cast("string")


def quoted(name: str) -> Column:
    """A column by its name, whatever characters that holds."""
    return F.col("`" + name.replace("`", "``") + "`")


def _to_utc(moment: Column, zone: str) -> Column:
    return moment if zone == "UTC" else F.to_utc_timestamp(moment, zone)


def _local_iso(text: Column, zone: str) -> Column:
    local = F.when(text.rlike(ISO_PATTERN), F.to_utc_timestamp(text.try_cast("timestamp"), zone))
    return F.when(text.rlike(OFFSET_PATTERN), text).otherwise(local.cast("string"))


def _event_type(text: Column, layout: Layout) -> Column:
    if layout.event_type is not None:
        return F.lit(layout.event_type)
    if not layout.event_types:
        return text
    word = F.lower(F.trim(text))
    ours = F.create_map(*(F.lit(part) for pair in layout.event_types.items() for part in (pair[0].lower(), pair[1])))
    return F.coalesce(ours[word], text)


def _joined(parts: list[Column]) -> Column:
    """One id of several columns; a row that lacks one of them has it all the same, one that lacks all has none."""
    if len(parts) < 2:
        return parts[0] if parts else F.lit(None).cast("string")
    there = ~is_missing(F.coalesce(*parts, F.lit("")))
    return F.when(there, F.concat_ws("|", *(F.coalesce(part, F.lit("")) for part in parts)))


def _left_out(shop: ShopColumns, rules: Sequence[Rule]) -> Column:
    """The reason of the first rule that holds."""
    reasons = [F.when(_holds(shop.text(rule.column), rule), F.lit(rule.reason)) for rule in rules]
    return F.coalesce(*reasons, F.lit(None).cast("string"))


def _holds(text: Column, rule: Rule) -> Column:
    if rule.missing:
        return is_missing(text)
    if rule.not_positive:
        return text.try_cast("double") <= 0
    if rule.starts_with is not None:
        return F.ltrim(text).startswith(rule.starts_with)
    return F.lower(F.trim(text)).isin([word.lower() for word in rule.is_one_of or ()])
