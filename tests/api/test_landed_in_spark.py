"""Posted events as the stream's source reads them: every one an event, with the ids that serving gives it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.ids import number_of, written
from app.events.layout import layout_of
from app.stream.source import event_files
from tests.api.client import Api, event
from tests.stream.shop import recommender, write_bundle

TEXT = """
columns: {event_time: when, event_type: what, product_id: sku, user_id: visitor, user_session: visit, price: eur,
          event_id: key, recommendation_id: list, quantity: n}
event_types: {addtocart: cart, order: purchase}
ids: text
"""
MILLISECONDS = """
columns: {event_time: t, event_type: e, product_id: p, user_id: u, event_id: i}
time: {format: epoch_milliseconds}
"""
PATTERN = """
columns: {event_time: t, event_type: e, product_id: p, user_id: u}
time: {format: 'd/M/yyyy H:mm:ss', zone: Asia/Tokyo}
"""
IDS = ["7", "007", "7.0", " B2 ", "é/ü", "-5", "9223372036854775808", "-0", "12.0.0", "\t7", "x" * 200]
MOMENT = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def posted(output: Path, layout: str | None, users: list[str]) -> Settings:
    """A shop to which each of these users has posted a purchase."""
    given = {"output": output, "commit_seconds": 0}
    if layout is not None:
        (output / "layout.yaml").write_text(layout)
        given["layout"] = output / "layout.yaml"
    settings = Settings(**given)
    write_bundle(output / "models", "a", recommender(text_ids=layout_of(settings).ids == "text"))
    with Api(settings) as api:
        events = [
            event(number, user, "12", event_type="purchase", event_time=MOMENT.isoformat(), price=2.5, quantity=3)
            | {"user_session": "v", "recommendation_id": "r"}
            for number, user in enumerate(users)
        ]
        assert api.post("/v1/events", {"events": events}).json()["accepted"] == len(users)
    return settings


@pytest.mark.parametrize(
    ("layout", "users"), [(None, ["7", "-5"]), (TEXT, IDS), (MILLISECONDS, ["7"]), (PATTERN, ["7"])]
)
def test_the_stream_reads_what_was_posted(
    layout: str | None, users: list[str], tmp_path: Path, spark: SparkSession
) -> None:
    settings = posted(tmp_path, layout, users)
    text_ids, columns = layout_of(settings).ids == "text", layout_of(settings).columns
    rows = event_files(spark, settings, list((tmp_path / "landing").iterdir())).collect()
    assert [(row.reason, row.left_out) for row in rows] == [(None, None)] * len(users)
    assert {row.event_time.astimezone(UTC) for row in rows} == {MOMENT}
    assert {row.event_type for row in rows} == {"purchase"}
    assert {row.product_id for row in rows} == {12}
    assert sorted(row.user_id for row in rows) == sorted(number_of(user, text_ids) or 0 for user in users)
    if text_ids:
        assert sorted(row.user_key for row in rows) == sorted(written(user) or "" for user in users)
    if columns.price:
        assert {row.price for row in rows} == {2.5}
    if columns.user_session:
        assert {row.user_session for row in rows} == {"v"}
    if columns.recommendation_id:
        assert {(row.recommendation_id, row.quantity) for row in rows} == {("r", 3.0)}
    if columns.event_id:
        assert sorted(row.event_id for row in rows) == sorted(f"e-{number}" for number in range(len(users)))
