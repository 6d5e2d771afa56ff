"""A shop's columns become ours: names, words, times, ids, rules; CSV and Parquet alike."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from app.core.duck import Connection
from app.core.errors import InputError
from app.events.archive import ARCHIVE_SCHEMA
from app.events.clean import parse
from app.events.layout import Layout, parse_layout
from tests.handmade import by_key, cleaned, read_events

LATEST = datetime(2026, 1, 1)


def layout(more: str = "", columns: str = "") -> Layout:
    return parse_layout(
        f"columns: {{event_time: When, product_id: Sku, user_id: Who, event_type: What{columns}}}\n{more}", "test"
    )


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rows(spark: SparkSession, source: str, how: Layout) -> dict[Any, dict[str, Any]]:
    """Parsed rows by product as it stands there."""
    frame = read_events(spark, source, how).withColumn("as_read", F.col("product_id"))
    return by_key(parse(frame, LATEST, 1000, how, keep=("as_read",)), "as_read")


def times(spark: SparkSession, folder: Path, written: list[str], more: str) -> list[datetime | None]:
    lines = [f"{time};{number};7;view" for number, time in enumerate(written)]
    source = write(folder / "log.csv", "When;Sku;Who;What", *lines)
    found = rows(spark, source, layout(f'delimiter: ";"\n{more}'))
    return [found[str(number)]["event_time"] for number in range(len(written))]


def test_times_by_pattern_in_the_shops_zone(spark: SparkSession, tmp_path: Path) -> None:
    found = times(
        spark,
        tmp_path,
        ["1/12/2010 8:26", "13/7/2011 10:00", "31/2/2011 10:00", "2011-07-13 10:00:00", ""],
        "time: {format: d/M/yyyy H:mm, zone: Europe/London}",
    )
    assert found == [datetime(2010, 12, 1, 8, 26), datetime(2011, 7, 13, 9), None, None, None]


def test_iso_times_of_a_zone_unless_they_carry_their_own(spark: SparkSession, tmp_path: Path) -> None:
    found = times(
        spark,
        tmp_path,
        ["2019-07-01 12:00:00", "2019-07-01T12:00:00Z", "2019-07-01 12:00:00 UTC", "2019-07-01"],
        "time: {zone: Europe/Paris}",
    )
    assert found == [datetime(2019, 7, 1, 10), datetime(2019, 7, 1, 12), datetime(2019, 7, 1, 12), None]


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("epoch_seconds", ["1592337718.25", "1592337718", "soon", "9e30"]),
        ("epoch_milliseconds", ["1592337718250", "1592337718000", "soon", "9e30"]),
        ("epoch_microseconds", ["1592337718250000", "1592337718000000", "soon", "9e30"]),
    ],
)
def test_times_since_1970(unit: str, written: list[str], spark: SparkSession, tmp_path: Path) -> None:
    found = times(spark, tmp_path, written, f"time: {{format: {unit}}}")
    assert found == [datetime(2020, 6, 16, 20, 1, 58, 250_000), datetime(2020, 6, 16, 20, 1, 58), None, None]


def test_words_quantities_and_columns_that_are_not_there(spark: SparkSession, tmp_path: Path) -> None:
    source = write(
        tmp_path / "log.csv",
        "Pieces,Who,When,note,What,Sku",
        "2,7,2019-10-01 00:00:00,x,AddToCart,1",
        ",7,2019-10-01 00:00:01,x,purchase,2",
        "-3,7,2019-10-01 00:00:02,x,VIEW,3",
        "some,7,2019-10-01 00:00:03,x,like,4",
        "1000000,7,2019-10-01 00:00:04,x,cart,5",
        "1e300,7,2019-10-01 00:00:05,x,cart,6",  # its money would be more than an integer can hold
    )
    found = rows(spark, source, layout("event_types: {addtocart: cart}", ", quantity: Pieces"))
    assert [found[key]["event_type"] for key in "1234"] == ["cart", "purchase", "view", "like"]
    assert [found[key]["reason"] for key in "1234"] == [None, None, None, "unknown event_type"]
    assert [found[key]["quantity"] for key in "123456"] == [2, 1, 0, 0, 1_000_000, 0]
    row = found["1"]
    assert (row["category_code"], row["brand"]) == ("unknown", "unknown")
    assert [row[name] for name in ("category_id", "price", "user_session", "event_id", "user_key")] == [None] * 5
    assert found["4"]["text"] == "2019-10-01 00:00:03,like,4,7,some"


def test_one_event_type_for_all_rows(spark: SparkSession, tmp_path: Path) -> None:
    source = write(tmp_path / "log.csv", "When,Sku,Who", "2019-10-01 00:00:00,1,7")
    how = parse_layout("columns: {event_time: When, product_id: Sku, user_id: Who}\nevent_type: purchase", "test")
    assert rows(spark, source, how)["1"]["event_type"] == "purchase"


def test_a_column_that_the_layout_names_must_be_there(spark: SparkSession, tmp_path: Path) -> None:
    source = write(tmp_path / "log.csv", "When,Sku,What", "2019-10-01 00:00:00,1,view")
    with pytest.raises(InputError, match=r"log\.csv: column Who is missing; it has When, Sku, What"):
        read_events(spark, source, layout())


def test_ids_of_text_keep_their_key_and_integers_their_number(spark: SparkSession, tmp_path: Path) -> None:
    keys = ["85123A", "0", "-5", "9223372036854775807", "007", "+7", "7.0", "9223372036854775808", "nan", " B 1 "]
    lines = [f"2019-10-01 00:00:00,{key},7,view" for key in keys]
    source = write(tmp_path / "log.csv", "When,Sku,Who,What", *lines)
    found = rows(spark, source, layout("ids: text"))
    plain = {"0": 0, "-5": -5, "9223372036854775807": 2**63 - 1, "7": 7}
    assert {key: found[key]["product_id"] for key in plain} == plain
    others = ["85123A", "007", "+7", "9223372036854775808", " B 1 "]
    hashes = [found[key]["product_id"] for key in others]
    expected = spark.createDataFrame([(key.strip(),) for key in others], "key string").selectExpr("xxhash64(key)")
    assert hashes == [row[0] for row in expected.collect()]
    assert found["85123A"]["product_id"] == 7902753217316215210  # never to change: models and archives hold it
    assert found[" B 1 "]["product_key"] == "B 1"
    assert found["0"]["user_key"] == "7"
    assert (found["nan"]["product_id"], found["nan"]["reason"]) == (None, "missing or invalid product_id")


def test_the_first_rule_that_holds_leaves_a_row_out(spark: SparkSession, tmp_path: Path) -> None:
    rules = """
leave_out:
  - {reason: cancelled, column: Order, starts_with: C}
  - {reason: no customer, column: Who, missing: true}
  - {reason: nothing sold, column: Pieces, not_positive: true}
  - {reason: refused, column: State, is_one_of: [Refused, void]}
"""
    source = write(
        tmp_path / "log.csv",
        "When,Sku,Who,What,Order,Pieces,State",
        "2019-10-01 00:00:00,1,7,view,5,1,done",
        "2019-10-01 00:00:00,2,,view,C5,-1,done",
        "2019-10-01 00:00:00,3,,view,5,-1,done",
        "2019-10-01 00:00:00,4,NaN,view,5,1,done",
        "2019-10-01 00:00:00,5,7,view,5,0,VOID",
        "soon,6,7,view,5,some, refused ",
        "soon,7,7,view,,,",
    )
    found = rows(spark, source, layout(rules))
    reasons = [None, "cancelled", "no customer", "no customer", "nothing sold", "refused", None]
    assert [found[str(number)]["left_out"] for number in range(1, 8)] == reasons
    assert [found[key]["reason"] for key in "1267"] == [None, None, None, "unparsable event_time"]


def test_an_event_id_makes_the_event_the_same(spark: SparkSession, duck: Connection, tmp_path: Path) -> None:
    source = write(
        tmp_path / "log.csv",
        "When,Sku,Who,What,Id,Line",
        "2019-10-01 00:00:00,1,7,view,a,1",
        "2019-10-01 00:00:05,1,7,view,a,1",  # the same, whatever else it says
        "2019-10-01 00:00:00,1,7,view,a,2",
        "2019-10-01 00:00:00,1,7,view,b,1",
        "2019-10-01 00:00:00,2,7,view,,",  # without an id: the same where all else is
        "2019-10-01 00:00:00,2,7,view,,",
        "2019-10-01 00:00:00,3,7,view,,",
    )
    for columns, expected in ((", event_id: [Id, Line]", [2, 1, 1]), (", event_id: Line", [3, 1])):
        how = layout("", columns)
        found = cleaned(duck, parse(read_events(spark, source, how), LATEST, 1000, how), how)
        copies = found.filter("product_id = 1").select("copies").order("copies desc").fetchall()
        assert [count for (count,) in copies] == expected
    how = layout("", ", event_id: Id")
    found = cleaned(duck, parse(read_events(spark, source, how), LATEST, 1000, how), how)
    assert set(found.select("product_id, copies").fetchall()) == {(1, 3), (1, 1), (2, 2), (3, 1)}


def test_typed_parquet_reads_as_its_text(spark: SparkSession, tmp_path: Path) -> None:
    """Times of every kind that Parquet has; ids that pandas made floats because some were missing."""
    moment = datetime(2019, 7, 1, 12)
    kinds: dict[str, tuple[pa.Array, str, datetime]] = {
        "instant": (pa.array([moment.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")), "zone: Europe/Paris", moment),
        "local": (pa.array([moment], pa.timestamp("us")), "zone: Europe/Paris", datetime(2019, 7, 1, 10)),
        "nanoseconds": (pa.array([moment], pa.timestamp("ns")), "zone: UTC", moment),
        "day": (pa.array([date(2019, 7, 1)]), "zone: UTC", datetime(2019, 7, 1)),
        "count": (pa.array([int(moment.replace(tzinfo=UTC).timestamp())]), "format: epoch_seconds", moment),
        "count as float": (pa.array([moment.replace(tzinfo=UTC).timestamp()]), "format: epoch_seconds", moment),
        "text": (pa.array(["1/7/2019 12:00"]), "format: d/M/yyyy H:mm", moment),
    }
    for name, (column, time, expected) in kinds.items():
        table = pa.table({"When": column, "Sku": [5.0], "Who": [541312140.0], "What": ["view"]})
        pq.write_table(table, tmp_path / f"{name}.parquet", version="2.6")
        (row,) = rows(spark, str(tmp_path / f"{name}.parquet"), layout(f"time: {{{time}}}")).values()
        assert (name, row["event_time"], row["reason"]) == (name, expected, None)
        assert (row["product_id"], row["user_id"]) == (5, 541312140)


def test_floats_beyond_what_they_hold_exactly_are_no_ids(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame({"When": ["2019-10-01 00:00:00"] * 3, "Sku": [1.5, 2.0**60, float("nan")], "Who": 7})
    frame["What"] = "view"
    frame.to_parquet(tmp_path / "log.parquet")
    parsed = parse(read_events(spark, str(tmp_path), layout()), LATEST, 1000, layout())
    assert {row["reason"] for row in parsed.collect()} == {"missing or invalid product_id"}


def test_a_streams_archive_is_read_beside_the_log_whatever_the_layout(spark: SparkSession, tmp_path: Path) -> None:
    log, archive = tmp_path / "log.csv", tmp_path / "archive"
    write(log, "When,Sku,Who,What", "1/10/2019 0:00,A1,ann,view")
    archived = (datetime(2019, 10, 2), "purchase", 123, None, "unknown", "unknown", 2.5, 456, "s", 3.0)
    kept = spark.createDataFrame([(*archived, "bob", "B2", "e1", "r1")], ARCHIVE_SCHEMA)
    kept.write.parquet(str(archive))
    how = layout("ids: text\ntime: {format: d/M/yyyy H:mm}")
    found = rows(spark, f"{log},{archive}", how)
    assert found["A1"]["event_time"] == datetime(2019, 10, 1)
    row = found["B2"]
    assert (row["event_time"], row["event_type"], row["reason"]) == (datetime(2019, 10, 2), "purchase", None)
    assert (row["user_key"], row["quantity"], row["price"], row["event_id"]) == ("bob", 3, 2.5, "e1")
    assert row["recommendation_id"] == "r1"
    hashed = spark.createDataFrame([("B2",)], "key string").selectExpr("xxhash64(key)").collect()[0][0]
    assert row["product_id"] == hashed
