"""Exploration of the first 17,434 rows of October 2019: its figures, exactly."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.train.run import explore_only
from app.train.summary import summary_lines


@pytest.fixture(scope="module")
def found(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    source = shared_data / "rees46_oct2019_head" / "events.csv"
    if not source.is_file():
        pytest.skip(f"no real rows at {source}")
    settings = Settings(events=str(source), output=tmp_path_factory.mktemp("real"), shuffle_partitions=2)
    return explore_only(spark, settings, datetime(2026, 1, 1, tzinfo=UTC), [].append)


def test_rows_and_duplicates(found: dict[str, Any]) -> None:
    assert found["exploration"]["rows"] == {"read": 17_434, "kept": 17_429, "duplicates": 5, "rejected": 0}
    assert found["exploration"]["rejected"] == {}


def test_event_mix_before_duplicates_are_dropped(found: dict[str, Any]) -> None:
    mix = {row["event_type"]: row["events"] for row in found["exploration"]["event_mix"]}
    assert mix == {"view": 17_055, "purchase": 214, "cart": 165, "remove_from_cart": 0}


def test_missing_values(found: dict[str, Any]) -> None:
    missing = {row["column"]: row["missing"] for row in found["exploration"]["missing"]}
    assert (missing["category_code"], missing["brand"]) == (5_746, 2_477)
    assert found["exploration"]["prices_not_positive"] == 19


def test_users_products_and_sessions(found: dict[str, Any]) -> None:
    assert found["exploration"]["totals"] == {
        "users": 4_504,
        "products": 6_493,
        "sessions": 5_066,
        "first": "2019-10-01 00:00:00",
        "last": "2019-10-01 02:50:00",
    }


def test_prices(found: dict[str, Any]) -> None:
    prices = found["exploration"]["price_by_event_type"]
    assert (min(row["min"] for row in prices), max(row["max"] for row in prices)) == (0, 2574.07)


def test_summary_and_report_say_so(found: dict[str, Any]) -> None:
    assert summary_lines(found)[0] == "17,434 rows read: 17,429 kept, 5 exact duplicates dropped, 0 rejected"
    assert not found["synthetic"]
    assert "17,434" in Path(found["paths"]["report"]).read_text()
