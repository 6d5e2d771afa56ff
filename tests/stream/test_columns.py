"""Files of the landing folder are read by the names of their columns, as the shop's layout has them."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.vocabulary import RAW_COLUMNS
from app.stream.epoch import marked
from app.stream.source import takes_new_columns
from app.stream.window_files import read_windows
from tests.stream.lists import latest_lists
from tests.stream.shop import (
    Event,
    Running,
    csv_row,
    folder_rows,
    land,
    listed,
    quick_settings,
    recommender,
    running,
    until,
    write_bundle,
)

BACKWARDS = [*reversed(RAW_COLUMNS), "note"]
SHOP = """
columns:
  event_time: When
  product_id: Sku
  user_id: Who
  user_session: Visit
  price: Cost
  quantity: Pieces
  event_id: Line
  recommendation_id: List
event_type: purchase
time: {format: "d/M/yyyy H:mm", zone: Europe/Paris}
delimiter: ";"
ids: text
leave_out:
  - {reason: no customer, column: Who, missing: true}
"""


def backwards(event: Event) -> str:
    return ",".join([*reversed(csv_row(event).split(",")), "x"])


def text(header: list[str] | str, *rows: str) -> str:
    return "\n".join([header if isinstance(header, str) else ",".join(header), *rows]) + "\n"


def archived(run: Running, count: int) -> list[dict[str, Any]]:
    def done() -> bool:
        assert run.error is None, run.error
        return len(folder_rows(run.folders.archive)) >= count

    until(done, f"{count} events archived")
    return folder_rows(run.folders.archive)


def test_columns_in_another_order_are_read_by_name_and_a_mixture_is_set_aside(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Started on an empty folder: the first file says in which order they come."""
    write_bundle(tmp_path / "models", "a", recommender())
    user = 8_000
    with running(spark, quick_settings(tmp_path)) as run:
        landing, damaged = run.folders.landing, run.folders.damaged
        land(landing, "1.csv", text(BACKWARDS, backwards((1, "view", 101, user, "x"))))
        (row,) = archived(run, 1)
        assert (row["user_id"], row["product_id"], row["event_type"]) == (user, 101, "view")
        assert (row["user_session"], row["brand"], row["price"]) == ("x", "acme", 2.5)
        until(lambda: run.lists(user), "a list")
        assert listed(run, user)[0] == 102

        swap = {"user_id": "product_id", "product_id": "user_id"}
        swapped = [swap.get(name, name) for name in BACKWARDS]
        land(landing, "swapped.csv", text(swapped, backwards((2, "view", 102, user, "x"))))
        until(lambda: (damaged / "swapped.csv").exists(), "set aside")
        lacking = [name for name in BACKWARDS if name != "user_id"]
        land(landing, "lacking.csv", text(lacking, "x,2.5,acme,a.x,7,102,view,2019-10-01 12:00:02 UTC,note"))
        until(lambda: (damaged / "lacking.csv").exists(), "set aside")
        assert [line for line in run.said if line.startswith("lacking.csv cannot be read: moved to")]

        land(landing, "3.csv", text(BACKWARDS, backwards((3, "view", 103, user, "x"))))
        assert sorted(row["product_id"] for row in archived(run, 2)) == [101, 103]
        until(lambda: listed(run, user)[0] == 104, "a list of the last event")
    assert not folder_rows(run.folders.rejected)


def test_a_shops_own_layout(spark: SparkSession, tmp_path: Path) -> None:
    write_bundle(tmp_path / "models", "a", recommender(text_ids=True))
    (tmp_path / "shop.yaml").write_text(SHOP)
    with running(spark, quick_settings(tmp_path, layout=tmp_path / "shop.yaml")) as run:
        rows = [
            "e1;1/10/2019 14:00;A1;ann;v1;2.50;3;r7",
            "e2;1/10/2019 14:00;101;ann;v1;1.00;1;",
            "e3;1/10/2019 14:01;A1;;v2;9.99;1;",  # no customer
            "e4;soon;A1;ann;v1;1.00;1;",
        ]
        land(run.folders.landing, "1.csv", text("Line;When;Sku;Who;Visit;Cost;Pieces;List", *rows))
        land(run.folders.landing, "2.csv", text("Line;When;Sku;Who;Visit;Cost;Pieces;List", rows[0]))
        found = archived(run, 3)
        until(lambda: list(run.folders.windows.glob("*.parquet")), "windows")
        run.delivered = 5
        run.drained()
        (rejected,) = folder_rows(run.folders.rejected)
        lists = latest_lists(run.folders.lists, marked(run.folders)).to_pylist()
    assert {row["user_id"] for row in lists} == {"ann"}, "whom no training has seen"
    assert next(row for row in lists if row["rank"] == 1)["product_id"] == "102", "what goes with 101"
    assert (rejected["reason"], rejected["row"]) == ("unparsable event_time", "soon,A1,1.00,ann,v1,1,e4,")
    assert {(row["user_key"], row["product_key"]) for row in found} == {("ann", "A1"), ("ann", "101")}
    assert {row["product_id"] for row in found if row["product_key"] == "101"} == {101}
    assert {row["recommendation_id"] for row in found} == {"r7", None}
    assert {row["event_time"].hour for row in found} == {12}  # two o'clock in Paris
    windows = read_windows(run.folders.windows, marked(run.folders)).to_pylist()
    assert [(row["events"], row["revenue"]) for row in windows] == [(2, 8.5)]  # e1 once: 3 × 2.50, and 1.00


NAMES = (
    "[X] CSV header does not conform to the schema.\n Header: {}\n Schema: {}\nExpected: a but found: b\nCSV file: f"
)
NUMBER = (
    "Number of column in CSV header is not equal to number of fields in the schema:\n"
    " Header length: {}, schema size: {}\nCSV file: f"
)


@pytest.mark.parametrize(
    ("told", "again"),
    [
        (NAMES.format("b, A, c", "a, b, c"), True),
        (NAMES.format("c, a, b", "a, b, c"), False),  # of another file than the first
        (NAMES.format("b, A, c", "b, A, c"), False),  # a query started anew would fail again
        (NUMBER.format(3, 2), True),
        (NUMBER.format(2, 3), False),
        ("Encountered error while reading file", False),
    ],
)
def test_a_query_is_started_anew_only_if_it_then_reads_the_file(told: str, again: bool, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("columns: {event_time: b, product_id: A, user_id: c}\nevent_type: view\n")
    settings = Settings(layout=tmp_path / "shop.yaml")
    assert not takes_new_columns(RuntimeError(told), settings, tmp_path)  # no file yet
    (tmp_path / "1.csv").write_text("b,A,c\n")
    assert takes_new_columns(RuntimeError(told), settings, tmp_path) is again
