"""A forgotten user's points lose their id, and nothing else changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from app.core.errors import VitrineError
from app.monitor.influx import InfluxConfig, write_lines
from app.monitor.nameless import NO_USER, NO_USER_BY_TEXT, make_nameless
from app.monitor.schema import recommendation_lines
from tests.influxd import InfluxServer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STRANGE = 'a "b" \\ ${1 + 1} é'


@pytest.fixture(scope="module")
def server(influxd_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd"), influxd_program)
    yield server
    server.stop()


def lists(*users: int | str, days_ago: float, version: str) -> list[str]:
    """Lists of three places, all of one micro-batch."""
    moment = NOW - timedelta(days=days_ago)
    rows = [
        {"time": moment, "segment": "1", "generator": f"g{rank}", "model_version": version, "user_id": user}
        | {"product_id": 100 + rank if isinstance(user, int) else f"p{rank}", "rank": rank, "score": 0.5, "price": 9.0}
        for user in users
        for rank in (1, 2, 3)
    ]
    return recommendation_lines(pd.DataFrame(rows), 1, 2)


def points(server: InfluxServer, bucket: str) -> list[tuple[str, ...]]:
    """All points of a bucket, as text."""
    rows = server.query(
        f'from(bucket: "{bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) '
        '|> pivot(rowKey: ["_time", "generator"], columnKey: ["_field"], valueColumn: "_value") |> group() '
        '|> sort(columns: ["_time"])'
    )
    names = ("_time", "generator", "model_version", "product_id", "rank", "score", "price", "user_id")
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize(("user", "other", "nobody"), [(512, 5120, NO_USER), (STRANGE, "512", NO_USER_BY_TEXT)])
def test_ids_are_overwritten_and_all_else_stays(
    server: InfluxServer, user: int | str, other: int | str, nobody: int | str
) -> None:
    """A bucket holds ids of one kind."""
    bucket = server.config.bucket
    if isinstance(user, str):
        (row,) = server.query(f'buckets() |> filter(fn: (r) => r.name == "{bucket}")')
        server.post("/api/v2/buckets", {"orgID": row["organizationID"], "name": "text", "retentionRules": []})
        bucket = "text"
    config = InfluxConfig(server.config.url, server.config.token, server.config.org, bucket, timeout=10)
    assert make_nameless(config, user, NOW) == 0
    old = [line for days in (0.5, 3, 40) for line in lists(user, other, days_ago=days, version=f"v{days}")]
    write_lines(config, [*old, *lists(user, days_ago=-0.5, version="v")])
    before = points(server, bucket)
    assert make_nameless(config, user, NOW) == 9
    after = points(server, bucket)
    assert [point[:-1] for point in after] == [point[:-1] for point in before]
    assert [point[-1] for point in after] == [
        str(nobody) if point[-1] == str(user) and point[0] < f"{NOW:%Y-%m-%dT%H}" else point[-1] for point in before
    ]
    assert [point[-1] for point in after].count(str(user)) == 3, "lists of after the forgetting are a new user's"
    assert make_nameless(config, user, NOW) == 0


def test_a_server_that_is_away_or_refuses_is_told_without_the_token(server: InfluxServer, tmp_path: Path) -> None:
    for config, reason in (
        (InfluxConfig("http://127.0.0.1:9", "secret", "o", "b", timeout=1), "MaxRetryError|NewConnectionError"),
        (InfluxConfig(server.config.url, "secret", server.config.org, server.config.bucket), "401"),
    ):
        with pytest.raises(VitrineError, match=f"a user's points were not found .*{reason}") as error:
            make_nameless(config, 512, NOW)
        assert "secret" not in str(error.value)
