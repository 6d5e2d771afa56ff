"""Points that InfluxDB did not take in time come to it in the end, however slow it is."""

import gzip
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from app.monitor.influx import InfluxConfig
from app.stream import owed_points, points
from app.stream.owed_points import OwedPoints
from app.stream.points import PointSink
from app.stream.window_files import WINDOW_SCHEMA

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)
LIMIT = 0.3  #: seconds, in place of five


class Slow(ThreadingHTTPServer):
    """Takes so many seconds for a request, and for each line in it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.for_request = self.for_line = 0.0
        self.asked: list[int] = []

    def handle_error(self, *_: object) -> None:
        """Nobody waits for the answer any more."""


class Handler(BaseHTTPRequestHandler):
    server: Slow

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        lines = len(text.decode().splitlines())
        self.server.asked.append(lines)
        time.sleep(self.server.for_request + self.server.for_line * lines)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def standing(starts: list[int]) -> pa.Table:
    """A line for each window."""
    rows = {
        "start": [NOON + timedelta(minutes=start) for start in starts],
        "event_type": ["view"] * len(starts),
        "main_category": ["a"] * len(starts),
        "events": starts,
        "revenue": [0.0] * len(starts),
    }
    return pa.table(rows, WINDOW_SCHEMA)


@pytest.fixture
def sink(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> PointSink:
    for module in (points, owed_points):
        monkeypatch.setattr(module, "OFFER_SECONDS", LIMIT)
    monkeypatch.setattr(points, "PAUSE_SHARE", 0.0)
    config = InfluxConfig(f"http://127.0.0.1:{slow.server_port}", "t", "o", "b")
    return PointSink(config, lambda: False, lambda: None, lambda line: None)


def paid(owed: OwedPoints) -> None:
    until = time.monotonic() + 60
    while owed.since() is not None:
        assert time.monotonic() < until, "no point comes to it"
        owed.pay()


def owing(sink: PointSink, windows: int) -> OwedPoints:
    """Of windows from micro-batch 7 on."""
    owed = OwedPoints(sink, standing)
    sink._offered_again = float("inf")
    owed.write(standing([*range(windows)]), {start: 7 + start for start in range(windows)})
    owed.pay()
    assert owed.since() == 7, "while nothing is offered nothing is paid, and nothing is learned"
    sink._offered_again = 0.0
    return owed


def test_fewer_are_written_at_once_until_they_are_taken_in_time(
    slow: Slow, sink: PointSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six lines would be in time: 16 and eight are not, four are, again and again."""
    monkeypatch.setattr(owed_points, "AT_ONCE", 16)
    slow.for_line = LIMIT / 6
    owed = owing(sink, 18)
    paid(owed)
    assert slow.asked[:3] == [16, 8, 4]
    assert max(slow.asked[2:]) <= 4, "what just fits is not made to grow"


def test_one_window_is_given_more_time(slow: Slow, sink: PointSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request takes longer than an offer may: with twice the time it is taken."""
    monkeypatch.setattr(owed_points, "AT_ONCE", 2)
    slow.for_request = 1.5 * LIMIT
    owed = owing(sink, 3)
    paid(owed)
    assert slow.asked[:3] == [2, 1, 1]


def test_more_are_written_at_once_where_it_is_fast_again(
    slow: Slow, sink: PointSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owed_points, "AT_ONCE", 4)
    owed = owing(sink, 9)
    owed._portion, owed._seconds = 1, 4 * LIMIT
    paid(owed)
    assert slow.asked[:2] == [1, 1]
    assert max(slow.asked) > 1
