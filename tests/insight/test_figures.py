"""Figures as tables: the rows that follow from figures made by hand, and what a run did not look for or find."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.core.parts import COMPLETE
from app.insight.figures import TABLES, Figures, schema, write_figures
from app.insight.results import Segments
from tests.finished_run import finished_run

RUN = finished_run()
OF_CUSTOMERS = {"rfm", "lifecycle", "cohorts", "value", "value_parameters", "value_holdout"}
OF_BEHAVIOUR = {"funnel", "funnel_instead", "cart_outcomes", "cart_left", "cart_times", "product_rates", "paths"}
OF_SEGMENTS = {"segments", "segment_features", "segment_moves", "segment_numbers"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    return written(Figures(RUN.customers, RUN.behaviour, RUN.segments, RUN.profiles), tmp_path_factory.mktemp("all"))


def written(found: Figures, folder: Path) -> dict[str, pa.Table]:
    """By name, as they are read back."""
    write_figures(found, folder / "figures")
    assert (folder / "figures" / COMPLETE).exists()
    return {path.stem: pq.read_table(path) for path in (folder / "figures").glob("*.parquet")}


def rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.select(names or table.column_names).to_pylist()]


def test_all_of_a_training_is_there(tables: dict[str, pa.Table]) -> None:
    assert set(tables) == set(TABLES) == OF_CUSTOMERS | OF_BEHAVIOUR | OF_SEGMENTS | {"profiles"}
    assert all(table.num_rows for table in tables.values())


def test_cohorts_have_a_row_for_each_cell_that_can_be_observed(tables: dict[str, pa.Table]) -> None:
    """Nobody came is a 0, not yet is no row; the last day lies within the third week."""
    first, second, third = (date(2019, 10, day) for day in (7, 14, 21))
    visits = [
        ("visits", "week", first, 0, 30, 1.0, True),
        ("visits", "week", first, 1, 12, 0.4, True),
        ("visits", "week", first, 2, 0, 0.0, False),
        ("visits", "week", second, 0, 8, 1.0, True),
        ("visits", "week", second, 1, 2, 0.25, False),
        ("visits", "week", third, 0, 2, 1.0, False),
    ]
    assert rows(tables["cohorts"])[: len(visits)] == visits
    purchases = [("purchases", *row[1:]) for row in visits]
    purchases[1] = ("purchases", "week", first, 1, 6, 0.2, True)
    assert rows(tables["cohorts"])[len(visits) :] == purchases


def test_a_cohort_of_nobody_has_no_shares(tmp_path: Path) -> None:
    assert RUN.customers is not None
    (visits, _) = RUN.customers.cohorts
    nobody = visits.rows[1].model_copy(update={"users": (0, 0)})
    told = RUN.customers.model_copy(update={"cohorts": (visits.model_copy(update={"rows": (nobody,)}),)})
    found = written(Figures(customers=told), tmp_path)
    assert rows(found["cohorts"], "users", "share") == [(0, None), (0, None)]


def test_weeks_of_the_lifecycle(tables: dict[str, pa.Table]) -> None:
    last = ("visits", date(2019, 10, 21), 2, 5, 1, 15, False)
    assert rows(tables["lifecycle"])[2] == last
    assert rows(tables["lifecycle"], "kind", "whole") == [
        (kind, whole) for kind in ("visits", "purchases") for whole in (True, True, False)
    ]


def test_a_forecast_takes_three_columns(tables: dict[str, pa.Table]) -> None:
    assert rows(
        tables["value"], "by", "name", "customers", "purchases_90", "purchases_90_low", "purchases_90_high"
    ) == [
        ("all", "All customers", 40, 80.0, 72.0, 88.0),
        ("rfm", "Champions", 10, 20.0, 18.0, 22.0),
        ("rfm", "Hibernating", 30, 60.0, 54.0, 66.0),
        ("segment", "VIP_Customers", 30, 60.0, 54.0, 66.0),
        ("segment", "New_Customers", 10, 20.0, 18.0, 22.0),
    ]


def test_steps_of_the_funnel_by_what_they_are_cut_by(tables: dict[str, pa.Table]) -> None:
    found = rows(tables["funnel"])
    assert found[:3] == [
        ("all", "all", 1, "view", 400, 300),
        ("all", "all", 2, "cart", 50, 60),
        ("all", "all", 3, "purchase", 30, 45),
    ]
    assert ("segment", "VIP_Customers", 2, "cart", 40, 20) in found
    assert ("category", "acme", 2, "cart", 20, None) in found
    assert ("price", "cheap third", 3, "purchase", 20, None) in found


def test_carts_paths_and_segments(tables: dict[str, pa.Table]) -> None:
    assert rows(tables["cart_left"], "by", "left") == [("product", 9), ("category", 15)]
    assert rows(tables["cart_times"]) == [(60, 6), (86_400, 20), (None, 6)]
    assert rows(tables["paths"])[1] == ("event", "view", "end", 300, 0.6)
    assert rows(tables["paths"])[-1][0] == "category"
    assert rows(tables["segments"], "segment", "traits", "users", "means_recency") == [
        (name, ["many visits", "spends much"], users, 3.5)
        for name, users in (("VIP_Customers", 30), ("New_Customers", 270))
    ]
    assert rows(tables["segment_features"])[1] == (0, "VIP_Customers", "recency", -1.5, 0.25)


def test_what_was_not_looked_for_has_no_table_and_what_was_not_found_no_rows(tmp_path: Path) -> None:
    assert RUN.behaviour is not None
    assert RUN.customers is not None
    bare = RUN.behaviour.model_copy(update={"funnel": None, "carts": None, "paths": None})
    nobody = RUN.customers.model_copy(update={"value": None})
    found = written(Figures(customers=nobody, behaviour=bare), tmp_path)
    assert set(found) == OF_CUSTOMERS | OF_BEHAVIOUR
    assert {name for name, table in found.items() if table.num_rows} == {"rfm", "lifecycle", "cohorts", "product_rates"}
    assert found["value"].schema == schema(TABLES["value"].row)
    (tmp_path / "alone").mkdir()
    alone = written(Figures(segments=Segments(silhouette=None, rows=())), tmp_path / "alone")
    assert set(alone) == OF_SEGMENTS


def test_values_that_are_not_identified_are_null(tmp_path: Path) -> None:
    assert RUN.customers is not None
    value = RUN.customers.value
    assert value is not None
    unknown = dict.fromkeys(("p_alive", "purchases_30", "purchases_90", "expected_spend", "value_90"))
    row = value.rows[0].model_copy(update=unknown)
    told = RUN.customers.model_copy(update={"value": value.model_copy(update={"rows": (row,), "by_segment": ()})})
    found = written(Figures(customers=told), tmp_path)["value"]
    assert rows(found) == [("all", "All customers", 40, *[None] * 13)]
    assert found.schema.field("p_alive_low").nullable
    assert not found.schema.field("customers").nullable
