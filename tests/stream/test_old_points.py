"""Old points are deleted from a real InfluxDB; new ones, and counts of events, stay."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.monitor.influx import InfluxConfig, delete_before, write_lines
from app.stream.housekeeping import Housekeeping
from app.stream.points import PASSING, PointSink
from tests.influxd import InfluxServer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MEASUREMENTS = (*PASSING, "events")


def lines(*days_ago: float, now: datetime = NOW) -> list[str]:
    moments = [int((now - timedelta(days=days)).timestamp()) * 1_000_000_000 for days in days_ago]
    return [f"{name} x=1i {moment}" for name in MEASUREMENTS for moment in moments]


def counts(server: InfluxServer) -> dict[str, int]:
    return {name: server.count(name, "x") for name in MEASUREMENTS}


def sink(config: InfluxConfig) -> PointSink:
    return PointSink(config, lambda: False, lambda: None, print)


def test_points_before_a_moment(server: InfluxServer) -> None:
    write_lines(server.config, lines(0, 1, 2, 3))
    delete_before(server.config, ["lists"], NOW - timedelta(days=1.5))
    assert counts(server) == dict.fromkeys(MEASUREMENTS, 4) | {"lists": 2}
    for _ in range(2):
        sink(server.config).delete_old(2.5, NOW)
    assert counts(server) == dict.fromkeys(MEASUREMENTS, 3) | {"lists": 2, "events": 4}


def test_the_stream_deletes_what_is_older_than_is_set(server: InfluxServer) -> None:
    said: list[str] = []

    def shrink(config: InfluxConfig, days: float | None) -> None:
        settings = Settings(influx_days=days)
        house = Housekeeping(
            settings, Mock(), Mock(), Mock(), Mock(), Mock(), sink(config), Mock(), Mock(), said.append, print
        )
        house._shrink_influx()
        if house._shrinks is not None:
            house._shrinks.join()

    write_lines(server.config, lines(0, 9, now=datetime.now(UTC)))
    shrink(server.config, None)
    assert counts(server) == dict.fromkeys(MEASUREMENTS, 2)
    shrink(server.config, 8)
    assert counts(server) == dict.fromkeys(MEASUREMENTS, 1) | {"events": 2}
    assert said == []
    shrink(InfluxConfig("http://127.0.0.1:9", "t", "o", "b", timeout=1), 8)  # told, and tried again in an hour
    assert "old points could not be deleted" in said[0]


def test_a_server_that_is_away_is_told(server: InfluxServer) -> None:
    server.stop()
    with pytest.raises(VitrineError, match="old points could not be deleted"):
        sink(server.config).delete_old(1, NOW)
