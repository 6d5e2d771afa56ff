"""The API's points: counted by hand, without gaps while InfluxDB is away, without a word too many."""

import asyncio
import gzip
import math
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.http import application
from app.api.metrics import LATENCY_BUCKETS, ApiMetrics
from app.api.points import ApiPoints, Route, quantile, routes_of
from app.api.service import Service
from app.core.settings import Settings
from app.monitor.influx import InfluxConfig
from tests.api.conftest import MakeApi


class Writes(HTTPServer):
    """Takes lines as InfluxDB does, or answers 503 while it is away; while it is slow it does both."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Write)
        self.lines: list[str] = []
        self.away = self.slow = self.refuses = False


class _Write(BaseHTTPRequestHandler):
    server: Writes

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.server.away and not self.server.refuses:
            self.server.lines += body.decode().splitlines()
        away = self.server.away or self.server.slow
        self.send_response(401 if self.server.refuses else 503 if away else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def writes() -> Iterator[Writes]:
    with Writes() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def metrics() -> ApiMetrics:
    return ApiMetrics()


@pytest.fixture
def points(writes: Writes, metrics: ApiMetrics, said: list[str]) -> ApiPoints:
    config = InfluxConfig(f"http://127.0.0.1:{writes.server_port}", "token", "shop", "shop")
    return ApiPoints(config, metrics, said.append, now=count(1_764_000_000_000_000_000).__next__)


def answer(metrics: ApiMetrics, route: str, status: int, *seconds: float) -> None:
    for each in seconds:
        metrics.requests.labels(route, "GET", status).inc()
        metrics.seconds.labels(route).observe(each)


def figures(line: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line.split(" ", 1)[1])}


def test_a_point_for_each_route_that_was_asked_since_the_last(
    points: ApiPoints, writes: Writes, metrics: ApiMetrics
) -> None:
    """Half of the ten between 10 and 15 ms, half between 20 and 30: the median is 15, 95 % took 29 at most."""
    answer(metrics, "/v1/popular", 200, *[0.012] * 5, *[0.025] * 3)
    answer(metrics, "/v1/popular", 422, 0.025)
    answer(metrics, "/v1/popular", 503, 0.025)
    answer(metrics, "/health/live", 200, 0.001)
    points.write()
    lines = sorted(writes.lines)
    assert [line.split(" ")[0] for line in lines] == ["api,route=/health/live", "api,route=/v1/popular"]
    found = figures(lines[1])
    assert (found["requests"], found["refused"], found["errors"]) == (10, 1, 1)
    assert found["seconds_p50"] == pytest.approx(0.015)
    assert found["seconds_p95"] == pytest.approx(0.029)
    answer(metrics, "/health/live", 200, 0.001, 0.001)
    points.write()
    assert [line.split(" ")[0] for line in writes.lines[2:]] == ["api,route=/health/live"]
    assert figures(writes.lines[2])["requests"] == 2


@pytest.mark.parametrize("slow", [False, True])
def test_what_could_not_be_written_comes_later_once_and_is_said_once(
    points: ApiPoints, writes: Writes, metrics: ApiMetrics, said: list[str], slow: bool
) -> None:
    """Three requests, a point after each: the first point waits, the next counts two. InfluxDB has each time once."""
    writes.away, writes.slow = not slow, slow
    for _ in range(3):
        answer(metrics, "/v1/popular", 200, 0.001)
        points.write()
    writes.away = writes.slow = False
    points.write()
    points.write()
    stored = {line.rsplit(" ", 1)[1]: figures(line)["requests"] for line in writes.lines}
    assert list(stored.values()) == [1, 2]
    assert len(writes.lines) == (5 if slow else 2)
    assert len(said) == 2
    assert said[0].startswith("points of the API are not written, and will be later: InfluxDB at")
    assert said[1] == "points of the API are written again"


def test_what_is_refused_is_counted_by_the_next_ones(points: ApiPoints, writes: Writes, metrics: ApiMetrics) -> None:
    writes.refuses = True
    for _ in range(2):
        answer(metrics, "/v1/popular", 200, 0.001)
        points.write()
    writes.refuses = False
    points.write()
    assert [figures(line)["requests"] for line in writes.lines] == [2]


def test_the_last_answers_are_written_as_the_server_stops(output: Path, writes: Writes) -> None:
    """It serves for less than the time between two points."""
    server = Settings(output=output, influx_url=f"http://127.0.0.1:{writes.server_port}")
    app = application(Service(server, print), "test")

    async def life() -> None:
        async with app.router.lifespan_context(app), AsyncClient(transport=ASGITransport(app)) as client:
            await asyncio.sleep(0)
            assert (await client.get("http://shop/v1/popular")).is_success

    asyncio.run(life())
    assert [figures(line)["requests"] for line in writes.lines if "route=/v1/popular" in line] == [1]


def test_nobody_asked_nothing_is_written(points: ApiPoints, writes: Writes) -> None:
    points.write()
    assert writes.lines == []


def test_requests_are_counted_as_the_gate_sees_them(make_api: MakeApi) -> None:
    api = make_api(read_key="r" * 16)
    assert api.get("/v1/popular").status_code == 401
    assert api.get("/health/live").is_success
    routes = routes_of(api.service.metrics)
    assert {name: (route.requests, route.refused) for name, route in routes.items()} == {
        "/v1/popular": (1, 1),
        "/health/live": (1, 0),
    }
    timed = {name: sum(route.within[-1:]) for name, route in routes.items()}
    assert timed == {"/v1/popular": 0, "/health/live": 1}, "what is refused at once would hide what is slow"


@settings(deadline=None)
@given(st.lists(st.floats(0.0001, 20), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    route = Route()
    route.within = [float(sum(time <= bound for time in times)) for bound in LATENCY_BUCKETS] + [float(len(times))]
    true = sorted(times)[math.ceil(share * len(times)) - 1]
    found = quantile(route.within, share)
    assert found is not None
    upper = next((bound for bound in LATENCY_BUCKETS if bound >= true), LATENCY_BUCKETS[-1])
    assert found <= upper + 1e-9
    lower = max((bound for bound in LATENCY_BUCKETS if bound < true), default=0.0)
    assert found >= lower - 1e-9


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile(Route().within, 0.5) is None
