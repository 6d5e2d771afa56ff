"""The schema: documented as it is, and with few tags."""

from pathlib import Path

from app.monitor.lines import Field, Tag
from app.monitor.schema import MEASUREMENTS, renewed

ALLOWED_TAGS = {
    *("event_type", "main_category", "segment", "was", "generator", "model_version", "route"),
    *("experiment", "variant", "reason", "outcome"),
    *("rfm", "activity", "state", "profile"),
}


def test_the_documentation_is_in_step() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "influxdb.md").read_text()
    assert renewed(page) == page, "run: python -m app.monitor.schema docs/influxdb.md"


def test_tags_are_few_and_never_users_or_products() -> None:
    for measurement in MEASUREMENTS:
        assert {tag.name for tag in measurement.tags} <= ALLOWED_TAGS


def test_names_are_unique_and_explained() -> None:
    assert len({measurement.name for measurement in MEASUREMENTS}) == len(MEASUREMENTS)
    for measurement in MEASUREMENTS:
        columns: list[Tag | Field] = [*measurement.tags, *measurement.fields]
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.meaning for column in columns)
