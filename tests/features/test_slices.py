"""Slices: everything known before a moment, and nothing after it."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from app.core.parts import row_count
from app.core.settings import Settings
from app.features.pairs import PAIR_SCHEMA
from app.features.products import PRODUCT_SCHEMA
from app.features.sessions import SESSION_SCHEMA, TOUCH_SCHEMA
from app.features.slices import Slice, cut_time, make_slice, span
from app.features.users import USER_SCHEMA
from tests.handmade import Event, moment, stored_events

CUT = moment("10-05 12:00")


def test_test_slice_is_the_end_but_at_most_half() -> None:
    first = moment("10-01 00:00")
    assert cut_time(first, moment("10-11 00:00"), 1.0) == moment("10-10 00:00")
    assert cut_time(first, moment("10-02 00:00"), 1.0) == moment("10-01 12:00")
    assert cut_time(first, first, 1.0) == first


def log() -> list[Event]:
    """Across the cut: a session goes on, a product changes category and brand, a cart is bought, a user comes."""
    early = {"user_session": "s", "category_code": "a.x", "brand": "old", "price": 5.0}
    late = {"user_session": "s", "category_code": "b.y", "brand": "new", "price": 9.0}
    return [
        (1, 10, "view", "10-01 09:00", early),
        (1, 11, "cart", "10-05 11:50", early),
        (2, 10, "view", "10-05 11:59:59", {**early, "user_session": "t"}),
        (1, 11, "purchase", "10-05 12:00", late),  # on the cut: after it
        (1, 10, "view", "10-05 12:10", late),
        (3, 12, "view", "10-07 12:00", {**late, "user_session": "u"}),
    ]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_events(tmp_path_factory.mktemp("log") / "events", log())


@pytest.fixture(scope="module")
def known(spark: SparkSession, events: Path) -> Slice:
    return make_slice(spark, events, None, CUT, Settings(), events.parent / "known")


def table(known: Slice, name: str, schema: Any) -> DataFrame:
    return known.spark.read.schema(schema).parquet(str(known.folder / name))


def rows(frame: DataFrame, *key: str) -> dict[object, dict[str, object]]:
    return {tuple(row[name] for name in key): row.asDict() for row in frame.collect()}


def test_span(events: Path) -> None:
    assert span(events) == (moment("10-01 09:00"), moment("10-07 12:00"))


def test_nothing_after_the_moment_reaches_a_slice(spark: SparkSession, known: Slice, tmp_path: Path) -> None:
    """Every table is that of a shop in which the later events never happened."""
    earlier = [event for event in log() if moment(event[3]) < CUT]
    alone = make_slice(spark, stored_events(tmp_path / "events", earlier), None, CUT, Settings(), tmp_path / "alone")
    for name in ("pairs", "sessions", "touches", "carts", "users", "products"):
        one, other = (sorted(map(str, pq.read_table(part.folder / name).to_pylist())) for part in (known, alone))
        assert one == other, name
        assert one or name == "carts", name


def test_categories_brands_and_sessions_stop_at_the_moment(known: Slice) -> None:
    products = rows(table(known, "products", PRODUCT_SCHEMA), "product_id")
    assert (products[10,]["category"], products[10,]["brand"]) == ("a", "old")
    assert set(products) == {(10,), (11,)}
    assert {row["session_id"]: row["purchases"] for row in pq.read_table(known.folder / "sessions").to_pylist()}[
        "s"
    ] == 0
    assert rows(table(known, "touches", TOUCH_SCHEMA), "session_id")["s",]["product_ids"] == [10, 11]
    assert set(rows(table(known, "users", USER_SCHEMA), "user_id")) == {(1,), (2,)}


def test_ages_are_counted_from_the_moment(known: Slice) -> None:
    assert rows(table(known, "users", USER_SCHEMA), "user_id")[2,]["recency"] == 0


def test_any_number_of_moments(spark: SparkSession, events: Path, tmp_path: Path) -> None:
    moments = [moment("10-02 00:00"), CUT, None]
    slices = [make_slice(spark, events, None, at, Settings(), tmp_path / str(n)) for n, at in enumerate(moments)]
    assert [row_count(one.folder / "users") for one in slices] == [1, 2, 3]
    assert slices[-1].until == moment("10-07 12:00")


def test_a_slice_has_the_types_that_it_says(known: Slice) -> None:
    said = {
        "pairs": PAIR_SCHEMA,
        "sessions": SESSION_SCHEMA,
        "touches": TOUCH_SCHEMA,
        "users": USER_SCHEMA,
        "products": PRODUCT_SCHEMA,
    }
    for name, schema in said.items():
        frame = table(known, name, schema)
        assert frame.sparkSession.read.parquet(*frame.inputFiles()).schema.simpleString() == frame.schema.simpleString()
