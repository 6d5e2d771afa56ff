"""Writing to a real InfluxDB, and to one that misbehaves on purpose."""

import gzip
import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from app.core.errors import InputError, VitrineError
from app.monitor.influx import BATCH_LINES, FIRST_WAIT, LONGEST_WAIT, InfluxConfig, InfluxWriter, check, write_lines
from tests.influxd import InfluxServer


def lines(measurement: str, count: int) -> list[str]:
    return [f"{measurement} n={number}i {number}" for number in range(count)]


# --- A server that answers from a script -------------------------------------------------------


class Script(ThreadingHTTPServer):
    """Answers writes with the statuses and headers it was given, then 204; keeps the bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ScriptHandler)
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.bodies: list[str] = []
        self.encodings: list[str | None] = []

    @property
    def config(self) -> InfluxConfig:
        return InfluxConfig(f"http://127.0.0.1:{self.server_port}", "secret-token", "shop", "vitrine", timeout=5)


class ScriptHandler(BaseHTTPRequestHandler):
    server: Script
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.encodings.append(self.headers["Content-Encoding"])
        status, headers, text = self.server.answers.pop(0) if self.server.answers else (204, {}, "")
        if status == 204:
            self.server.bodies.append(gzip.decompress(body).decode())
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def script() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_batches_are_gzipped_and_in_order(script: Script) -> None:
    written = write_lines(script.config, lines("m", 2 * BATCH_LINES + 1))
    assert written.lines == 2 * BATCH_LINES + 1
    assert [body.count("\n") + 1 for body in script.bodies] == [BATCH_LINES, BATCH_LINES, 1]
    assert "\n".join(script.bodies).split("\n") == lines("m", 2 * BATCH_LINES + 1)
    assert script.encodings == ["gzip"] * 3


def test_nothing_to_write_is_no_request(script: Script) -> None:
    assert write_lines(script.config, []).lines == 0
    assert script.encodings == []


def test_waits_double_up_to_a_cap_and_nothing_is_skipped(script: Script, clock: Clock) -> None:
    script.answers = [(503, {}, "")] * 9
    told: list[str] = []
    at: list[float] = []

    def on_retry(reason: str) -> None:
        told.append(reason)
        at.append(clock())

    writer = InfluxWriter(script.config, clock=clock, sleep=clock.sleep, jitter=lambda: 0.999999, on_retry=on_retry)
    with writer:
        written = writer.write(lines("m", 3))
    assert (written.lines, written.retries) == (3, 9)
    assert script.bodies == ["\n".join(lines("m", 3))]
    assert told == ["answers 503"] * 9
    at.append(clock())
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits == pytest.approx([min(LONGEST_WAIT, FIRST_WAIT * 2**number) for number in range(9)], rel=1e-3)


def test_jitter_takes_off_half_at_most(script: Script, clock: Clock) -> None:
    script.answers = [(500, {}, "")]
    with InfluxWriter(script.config, clock=clock, sleep=clock.sleep, jitter=lambda: 0.0) as writer:
        writer.write(lines("m", 1))
    assert clock() == pytest.approx(FIRST_WAIT / 2)


def test_honours_retry_after(script: Script, clock: Clock) -> None:
    script.answers = [(429, {"Retry-After": "7"}, ""), (503, {"Retry-After": "soon"}, "")]
    with InfluxWriter(script.config, clock=clock, sleep=clock.sleep, jitter=lambda: 0.0) as writer:
        writer.write(lines("m", 1))
    assert clock() == pytest.approx(7 + FIRST_WAIT)  # an unreadable header leaves the usual wait


def test_stop_and_deadline_give_up_with_an_error(script: Script, clock: Clock) -> None:
    script.answers = [(503, {}, "")] * 100
    with (
        InfluxWriter(script.config, clock=clock, sleep=clock.sleep, stop=lambda: clock() > 60) as writer,
        pytest.raises(VitrineError, match=r"answers 503; gave up after 6\d s"),
    ):
        writer.write(lines("m", 1))
    started = clock()
    with (
        InfluxWriter(script.config, clock=clock, sleep=clock.sleep, deadline=20) as writer,
        pytest.raises(VitrineError, match=r"gave up after 2[01] s"),
    ):
        writer.write(lines("m", 1))
    assert clock() - started < 22
    assert script.bodies == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 422])
def test_what_the_server_refuses_is_an_error_at_once(script: Script, status: int) -> None:
    script.answers = [(status, {"Content-Type": "application/json"}, '{"message": "why\\nnot"}')]
    with pytest.raises(InputError, match=rf"\({status}: why not\)") as caught:
        write_lines(script.config, lines("m", 1))
    assert "\n" not in str(caught.value)
    assert "secret-token" not in str(caught.value)
    assert len(script.encodings) == 1


def test_the_token_is_never_shown(script: Script) -> None:
    config = script.config
    assert "secret-token" not in repr(config) + str(config)
    assert pickle.loads(pickle.dumps(config)) == config


# --- The real server ------------------------------------------------------------------------------


def test_check_passes_and_writes_nothing(influx: InfluxServer) -> None:
    check(influx.config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token": "wrong"}, "the token is not valid.*401: unauthorized access"),
        ({"bucket": "none"}, 'no such bucket or organisation.*404: bucket "none" not found'),
        ({"org": "none"}, "no such bucket or organisation.*404"),
        ({"url": "http://127.0.0.1:9"}, "not reachable .*is it running, is the URL right"),
    ],
)
def test_check_says_in_one_line_what_is_wrong(influx: InfluxServer, change: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check(replace(influx.config, **change))
    assert "\n" not in str(caught.value)
    assert influx.config.token not in str(caught.value)


def test_the_same_lines_twice_are_there_once(influx: InfluxServer) -> None:
    for _ in range(2):
        assert write_lines(influx.config, lines("twice", 12_345)).lines == 12_345
    assert influx.count("twice", "n") == 12_345


def test_a_changed_field_type_is_refused(influx: InfluxServer) -> None:
    write_lines(influx.config, ["typed n=1i 1"])
    with pytest.raises(InputError, match=r"a field's type has changed.*422.*field type conflict"):
        write_lines(influx.config, ['typed n="one" 2'])


def test_a_malformed_line_is_refused(influx: InfluxServer) -> None:
    with pytest.raises(InputError, match=r"malformed.*400: unable to parse"):
        write_lines(influx.config, ["malformed line"])


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_outage_in_the_middle_loses_nothing(tmp_path: Path, influxd_program: str, how: str) -> None:
    server = InfluxServer(tmp_path, influxd_program)
    count, outage = 6 * BATCH_LINES, threading.Event()

    def source() -> Iterator[str]:
        for number, line in enumerate(lines("outage", count)):
            if number == 3 * BATCH_LINES:  # half of the batches are written by now
                getattr(server, how)()
                threading.Timer(2, restart).start()
            yield line

    def restart() -> None:
        server.start()
        outage.set()

    retried: list[str] = []
    started = time.monotonic()
    with InfluxWriter(server.config, on_retry=retried.append) as writer:
        written = writer.write(source())
    assert outage.wait(30)
    try:
        assert written.lines == server.count("outage", "n") == count
        assert written.retries == len(retried) >= 1
        assert all("not reachable" in reason or "answers 5" in reason for reason in retried)
        assert time.monotonic() - started >= 2
    finally:
        server.stop()
