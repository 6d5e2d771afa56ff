"""Cleaning on rows made by hand."""

import random
from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from app.core.duck import Connection
from app.events.canonical import CORRUPT, SOURCE_FILE, canonical
from app.events.clean import REASONS, parse, rejected_rows
from app.events.layout import REES46
from app.events.schema import CLEANED_SCHEMA, REJECTED_SCHEMA
from app.events.vocabulary import RAW_COLUMNS
from tests.handmade import by_key, cleaned

LATEST = datetime(2019, 12, 1)
GOOD = {
    "event_time": "2019-10-01 13:05:09 UTC",
    "event_type": "view",
    "product_id": "1",
    "category_id": "2053013555631882655",
    "category_code": "electronics.smartphone",
    "brand": "acme",
    "price": "9.90",
    "user_id": "7",
    "user_session": "s1",
}


def parsed(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    names = [*RAW_COLUMNS, CORRUPT, SOURCE_FILE]
    schema = T.StructType([T.StructField(name, T.StringType()) for name in names])
    full = [GOOD | {SOURCE_FILE: "a.csv"} | row for row in rows]
    frame = spark.createDataFrame([tuple(row.get(name) for name in names) for row in full], schema)
    return parse(canonical(frame, REES46), LATEST, 1000)


KEPT: dict[str, dict[str, Any]] = {
    "plain": {},
    "offset": {"event_time": "2019-10-01T13:05:09+02:00"},
    "fraction": {"event_time": "2019-10-01 13:05:09.250"},
    "no category": {"category_code": None},
    "empty category": {"category_code": " "},
    "NaN category": {"category_code": "NaN"},
    "one part": {"category_code": "furniture"},
    "three parts": {"category_code": "appliances.kitchen.kettle"},
    "no brand": {"brand": None},
    "NaN brand": {"brand": "nan"},
    "padded": {"category_code": " furniture.chair ", "brand": " acme "},
    "free": {"price": "0"},
    "negative": {"price": "-5"},
    "huge": {"price": "1000.01"},
    "at the limit": {"price": "1000"},
    "no number": {"price": "cheap"},
    "NaN price": {"price": "NaN"},
    "infinite": {"price": "Infinity"},
    "no price": {"price": None},
    "no session": {"user_session": None},
    "own session's id": {"user_session": " 7"},  # as a session without an id is known inside
    "NaN session": {"user_session": "NaN"},
    "wide ids": {"user_id": "9007199254740993", "category_id": "9223372036854775807"},
    "bad category id": {"category_id": "x"},
    "loud type": {"event_type": " Remove_From_Cart "},
}

REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "corrupt": ({CORRUPT: "a,b"}, REASONS[0]),
    "corrupt and no time": ({CORRUPT: "a,b", "event_time": None}, REASONS[0]),
    "no time": ({"event_time": None}, REASONS[1]),
    "words": ({"event_time": "yesterday"}, REASONS[1]),
    "date alone": ({"event_time": "2019-10-01"}, REASONS[1]),
    "February 30": ({"event_time": "2019-02-30 00:00:00 UTC"}, REASONS[1]),
    "epoch": ({"event_time": "1970-01-01 00:00:00 UTC"}, REASONS[2]),
    "future": ({"event_time": "2019-12-01 00:00:01 UTC"}, REASONS[2]),
    "no type": ({"event_type": None}, REASONS[3]),
    "other type": ({"event_type": "click"}, REASONS[3]),
    "no product": ({"product_id": None}, REASONS[4]),
    "half a product": ({"product_id": "1.5"}, REASONS[4]),
    "too wide": ({"product_id": "9223372036854775808"}, REASONS[4]),
    "no user": ({"user_id": ""}, REASONS[5]),
}


@pytest.fixture(scope="module")
def kept(spark: SparkSession, duck: Connection) -> dict[str, dict[str, Any]]:
    """Cleaned rows by the name of their case; each is its own product, so that none are duplicates."""
    rows = [row | {"product_id": str(number)} for number, row in enumerate(KEPT.values())]
    found = cleaned(duck, parsed(spark, rows))
    assert found.columns == CLEANED_SCHEMA.fieldNames()
    return {list(KEPT)[number]: row for number, row in by_key(found, "product_id").items()}


@pytest.fixture(scope="module")
def reasons(spark: SparkSession) -> dict[str, str | None]:
    rows = [row | {"brand": name} for name, (row, _) in REJECTED.items()] + [{"brand": "fine"}]
    frame = parsed(spark, rows)
    return {name: row["reason"] for name, row in by_key(frame.select("brand", "reason"), "brand").items()}


def test_every_good_row_is_kept(kept: dict[str, dict[str, Any]]) -> None:
    assert set(kept) == set(KEPT)


def test_time_columns_in_utc(kept: dict[str, dict[str, Any]]) -> None:
    row = kept["plain"]
    assert row["event_time"] == datetime(2019, 10, 1, 13, 5, 9)
    assert [row[name] for name in ("hour", "minute", "second", "day", "month")] == [13, 5, 9, 1, 10]
    assert row["dayofweek"] == 3  # 1 October 2019 was a Tuesday, and 1 is Sunday
    assert row["date"] == date(2019, 10, 1)
    assert row["hour_bucket"] == datetime(2019, 10, 1, 13)
    assert kept["offset"]["event_time"] == datetime(2019, 10, 1, 11, 5, 9)
    assert kept["fraction"]["event_time"] == datetime(2019, 10, 1, 13, 5, 9, 250_000)


@pytest.mark.parametrize(
    ("case", "code", "main"),
    [
        ("plain", "electronics.smartphone", "electronics"),
        ("three parts", "appliances.kitchen.kettle", "appliances"),
        ("one part", "furniture", "furniture"),
        ("padded", "furniture.chair", "furniture"),
        ("no category", "unknown", "unknown"),
        ("empty category", "unknown", "unknown"),
        ("NaN category", "unknown", "unknown"),
    ],
)
def test_main_category_is_the_first_part_where_the_brief_never_splits(
    kept: dict[str, dict[str, Any]], case: str, code: str, main: str
) -> None:
    """A split at "an escaped dot" would look for a backslash."""
    assert (kept[case]["category_code"], kept[case]["main_category"]) == (code, main)


def test_a_brand_is_one_however_it_is_padded_and_unknown_where_it_is_missing(kept: dict[str, dict[str, Any]]) -> None:
    cases = ("plain", "padded", "no brand", "NaN brand")
    assert [kept[case]["brand"] for case in cases] == ["acme", "acme", "unknown", "unknown"]


@pytest.mark.parametrize(
    ("case", "listed", "price"),
    [
        ("plain", 9.9, 9.9),
        ("free", 0.0, None),
        ("negative", -5.0, None),
        ("huge", 1000.01, None),
        ("at the limit", 1000.0, 1000.0),
        ("no number", None, None),
        ("NaN price", None, None),
        ("infinite", None, None),
        ("no price", None, None),
    ],
)
def test_price_is_null_unless_positive_and_plausible(
    kept: dict[str, dict[str, Any]], case: str, listed: float | None, price: float | None
) -> None:
    assert (kept[case]["listed_price"], kept[case]["price"]) == (listed, price)


SESSIONS = ("plain", "no session", "NaN session", "own session's id")


def test_ids_and_sessions(kept: dict[str, dict[str, Any]]) -> None:
    assert kept["wide ids"]["user_id"] == 9007199254740993  # 2^53 + 1: lost by a double
    assert kept["wide ids"]["category_id"] == 9223372036854775807
    assert kept["bad category id"]["category_id"] is None
    assert [kept[case]["user_session"] for case in SESSIONS] == ["s1", None, None, "7"]
    assert kept["loud type"]["event_type"] == "remove_from_cart"


@pytest.mark.parametrize(("case", "reason"), [(name, reason) for name, (_, reason) in REJECTED.items()])
def test_each_bad_row_has_its_reason(reasons: dict[str, str | None], case: str, reason: str) -> None:
    assert reasons[case] == reason


def test_a_good_row_has_no_reason(reasons: dict[str, str | None]) -> None:
    assert reasons["fine"] is None


def test_rejected_table_holds_the_row_as_it_was(spark: SparkSession) -> None:
    frame = rejected_rows(parsed(spark, [{}, {CORRUPT: "x;y;z"}, {"user_id": "?", SOURCE_FILE: "b.csv"}]))
    assert frame.schema.simpleString() == REJECTED_SCHEMA.simpleString()
    rows = by_key(frame, "reason")
    assert rows[REASONS[0]] == {"reason": REASONS[0], "row": "x;y;z", "source_file": "a.csv"}
    text = "2019-10-01 13:05:09 UTC,view,1,2053013555631882655,electronics.smartphone,acme,9.90,?,s1"
    assert rows[REASONS[5]] == {"reason": REASONS[5], "row": text, "source_file": "b.csv"}


def test_the_same_event_is_one_row_with_the_number_of_its_copies(spark: SparkSession, duck: Connection) -> None:
    """Whatever else its rows say; which of them stays does not depend on their order."""
    rows: list[dict[str, Any]] = [
        {},
        {},
        {"price": None},
        {"price": "9.91", "brand": "zeta"},
        {"price": "9.91", "brand": None},
        {"user_session": "s2"},
        {"user_session": None},
        {"user_session": None},  # no session is the same as no session
        {"event_type": "cart"},
    ]
    for order in (rows, rows[::-1]):
        found = by_key(cleaned(duck, parsed(spark, order)), "user_session", "event_type")
        assert {key: row["copies"] for key, row in found.items()} == {
            ("s1", "view"): 5,
            ("s2", "view"): 1,
            (None, "view"): 2,
            ("s1", "cart"): 1,
        }
        assert (found["s1", "view"]["price"], found["s1", "view"]["brand"]) == (9.91, "zeta")


def test_every_row_is_kept_a_duplicate_or_rejected_whatever_the_input(spark: SparkSession, duck: Connection) -> None:
    wild = random.Random(5)
    values = [None, "", "1", "7", "-3", "NaN", "x", "2019-10-01 00:00:00 UTC", "1999-01-01 00:00:00", "view", "cart"]
    rows = [{name: wild.choice(values) for name in wild.sample(RAW_COLUMNS, wild.randint(0, 3))} for _ in range(400)]
    frame = parsed(spark, rows)
    kept = [copies for (copies,) in cleaned(duck, frame).select("copies").fetchall()]
    rejected = rejected_rows(frame).count()
    assert sum(kept) + rejected == 400
    assert len(kept) < sum(kept)  # there were duplicates
    assert rejected > 50
