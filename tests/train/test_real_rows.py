"""Exploration of the first 17,434 rows of October 2019: its figures, exactly."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.insight.results import EventFigures
from app.results.run import Cleaning, RunResult
from app.train.run import explore_only
from app.train.summary import summary_lines


@pytest.fixture(scope="module")
def found(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    source = shared_data / "rees46_oct2019_head" / "events.csv"
    if not source.is_file():
        pytest.skip(f"no real rows at {source}")
    settings = Settings(events=str(source), output=tmp_path_factory.mktemp("real"), shuffle_partitions=2)
    return explore_only(spark, settings, datetime(2026, 1, 1, tzinfo=UTC), [].append)


def test_rows_and_duplicates(found: RunResult) -> None:
    assert found.cleaning == Cleaning(read=17_434, kept=17_429, duplicates=5, rejected=0, reasons={}, left_out={})


def events(found: RunResult) -> EventFigures:
    assert found.exploration is not None
    return found.exploration.events


def test_event_mix_before_duplicates_are_dropped(found: RunResult) -> None:
    mix = {row.event_type: row.events for row in events(found).event_mix}
    assert mix == {"view": 17_055, "purchase": 214, "cart": 165, "remove_from_cart": 0}


def test_missing_values(found: RunResult) -> None:
    missing = {row.column: row.missing for row in events(found).missing}
    assert (missing["category_code"], missing["brand"]) == (5_746, 2_477)
    assert events(found).prices_not_positive == 19


def test_users_products_and_sessions(found: RunResult) -> None:
    assert (events(found).users, events(found).products) == (4_504, 6_493)
    assert found.exploration is not None
    assert found.exploration.sessions.count == 5_066
    assert events(found).first == datetime(2019, 10, 1, 0, 0)
    assert events(found).last == datetime(2019, 10, 1, 2, 50)


def test_prices(found: RunResult) -> None:
    prices = events(found).price_by_event_type
    assert min(row.min for row in prices if row.min is not None) == 0
    assert max(row.max for row in prices if row.max is not None) == 2574.07


def test_summary_and_report_say_so(found: RunResult) -> None:
    assert summary_lines(found)[0] == "17,434 rows read: 17,429 kept, 5 exact duplicates dropped, 0 rejected"
    assert not found.synthetic
    assert "17,434" in found.paths.report.read_text()
