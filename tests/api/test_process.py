"""`vitrine serve` as a process: without Spark, one line for a mistake, killed amid events and started again."""

import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from app.api.posted.intake import log_folder
from app.api.posted.log import EventLog
from app.cli import main
from app.core.settings import Settings
from tests.api.client import ROOT, Server, event, free_port, ids, landed
from tests.stream.process import StreamProcess
from tests.stream.shop import folder_rows, until

WITHOUT_SPARK = """
import sys
from importlib.abc import MetaPathFinder

class NoSpark(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "py4j"):
            raise ModuleNotFoundError(f"{name} is not there")

sys.meta_path.insert(0, NoSpark())
from app.cli import main
main()
"""


def test_it_serves_without_spark_and_java_and_stops_when_asked(output: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_SPARK, "serve", "--output", str(output), "--port", "0"]
    process = subprocess.Popen(command, env={"PATH": ""}, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = iter(process.stderr)
    url = next(line.rpartition("listening at ")[2].strip() for line in lines if "listening at" in line)
    try:
        answer = httpx.get(f"{url}/v1/popular?count=2", timeout=30)
        assert ids(answer) == [100, 101]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert list(lines)[-1] == "stopped\n"
    finally:
        process.kill()
        process.wait()


def test_clients_with_open_connections_move_away_before_it_stops(output: Path) -> None:
    """It says that it is not ready, then answers all that comes, each for the last time on its connection."""
    server = Server(output, VITRINE_DRAIN_SECONDS="600").wait()
    with httpx.Client(base_url=server.url, timeout=20) as busy, httpx.Client(base_url=server.url, timeout=20) as idle:
        for client in (busy, idle):
            assert "connection" not in client.get("/v1/popular").headers
        server.process.terminate()
        until(lambda: busy.get("/health/ready").status_code == 503, "it is not ready")
        begun, answered = time.monotonic(), 0
        while time.monotonic() - begun < 1:
            answer = busy.get("/v1/popular")
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            answered += 1
        assert answered > 3
        answer = idle.get("/v1/popular")  # on the connection of before
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.poll() is None
    assert server.stop() == 0, "told once more, it waits no longer"
    assert server.lines[-1] == "stopped"


def test_who_is_told_once_stops_when_the_time_is_over(output: Path) -> None:
    server = Server(output, VITRINE_DRAIN_SECONDS="0.5").wait()
    server.process.terminate()
    assert server.process.wait(30) == 0


STOPPED_EARLY = """
import os, signal
import uvicorn
from app.cli import main
run = uvicorn.Server.run
def told_first(self, sockets=None):
    os.kill(os.getpid(), signal.SIGTERM)
    run(self, sockets)
uvicorn.Server.run = told_first
main()
"""


def test_it_stops_though_it_is_told_to_before_it_has_started(output: Path) -> None:
    """It has said that it listens, and a supervisor has changed its mind."""
    command = [sys.executable, "-c", STOPPED_EARLY, "serve", "--output", str(output), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "stopped"


OFTEN = """
from app.api import http
from app.cli import main
http.TIDY_SECONDS = 0.05
main()
"""


def test_it_stops_though_a_replica_stands_still_with_the_lock(output: Path) -> None:
    """Lists that were answered are written down; what waits for the lock is left."""
    server = Server(output, program=OFTEN).wait()
    try:
        with EventLog(log_folder(Settings(output=output))).alone():
            time.sleep(0.3)  # the log is being tidied, from now on for ever
            assert httpx.get(f"{server.url}/v1/popular").is_success
            server.process.terminate()
            assert server.process.wait(15) == 0
        assert [path.stat().st_size > 0 for path in (output / "api" / "lists").iterdir()] == [True]
    finally:
        server.process.kill()


STANDS_STILL = """
import os, signal, time
from app.api.posted.log import EventLog
from app.cli import main
append = EventLog.append
def then_stand_still(self, batch):
    append(self, batch)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(3600)  # the signal may come to another thread first
EventLog.append = then_stand_still
main()
"""
STARTUP_SECONDS = 60  #: half of those of the startup probe in manifests/base/api.yaml


def test_a_replica_starts_though_another_stands_still_with_the_lock(output: Path) -> None:
    """It serves lists; once the other is dead it delivers what that one had accepted, and knows it."""
    settings = Settings(output=output)
    server, other = Server(output, program=STANDS_STILL).wait(), None
    too_late = threading.Timer(STARTUP_SECONDS, server.kill)
    try:
        with suppress(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/events", json=event(1), timeout=1)
        until(lambda: EventLog(log_folder(settings)).follow(), "it has accepted the event")
        too_late.start()
        other = Server(output).wait()
        assert ids(httpx.post(f"{other.url}/v1/recommendations", json={"user_id": 77, "count": 2}))
        assert server.process.poll() is None, f"it has waited for {STARTUP_SECONDS} s"
        assert not landed(output / "landing")
        server.kill()
        receipt = httpx.post(f"{other.url}/v1/events", json={"events": [event(1), event(2)]}, timeout=20).json()
        assert (receipt["accepted"], receipt["duplicates"]) == (1, 1)
        assert [row["event_id"] for row in landed(output / "landing")] == ["e-1", "e-2"]
    finally:
        too_late.cancel()
        for one in (server, other):
            if one is not None:
                one.kill()


def run(*arguments: str | Path) -> Result:
    """`vitrine serve`, where it should not come to serving."""
    return CliRunner().invoke(main, ["serve", "--port", "0", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "0.0.0.0"), "VITRINE_READ_KEY and VITRINE_WRITE_KEY not set: anyone could use the API"),
        (("--host", "no.such.host.invalid"), "VITRINE_READ_KEY"),
        (("--host", "192.0.2.1"), "VITRINE_READ_KEY"),
        (("--port", "99999"), "setting port"),
        (("--layout", "none.yaml"), "--layout none.yaml: no such file"),
        (("--landing", "/dev/null/x"), "/dev/null/x: can't be made a folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], says: str, output: Path) -> None:
    done = run("--output", output, *arguments)
    assert done.exit_code == 2, done.stderr
    assert says in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in done.stderr


def test_a_start_without_a_bundle_says_what_to_do(tmp_path: Path) -> None:
    done = run("--output", tmp_path / "empty")
    assert done.exit_code == 2
    assert "run vitrine train first" in done.stderr


def test_a_taken_port_is_one_line(output: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--output", output, "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "cannot be listened at (Address already in use); give others" in line


@pytest.mark.slow(seconds=40)
def test_every_accepted_event_is_archived_once_though_servers_and_stream_are_killed(output: Path) -> None:
    """Two replicas and a stream, killed and started again while clients post; a client without an answer sends the same
    again, to any of the two."""
    ports = [free_port(), free_port()]
    servers = [Server(output, port, VITRINE_COMMIT_SECONDS="0.02").wait() for port in ports]
    stream = StreamProcess(output)
    answered: list[str] = []
    unknown, kills, enough = Counter[str](), Counter[str](), threading.Event()

    def client(name: int) -> None:
        rng = random.Random(name)
        for number in count():
            if number >= 40 and enough.wait(0.3):
                break
            ids = [f"{name}-{number}-{part}" for part in range(3)]
            body = {"events": [event(0, user=name) | {"event_id": one, "user_session": one} for one in ids]}
            for _ in range(500):
                try:
                    answer = httpx.post(f"http://127.0.0.1:{rng.choice(ports)}/v1/events", json=body, timeout=10)
                except httpx.HTTPError:
                    unknown["lost"] += 1
                    time.sleep(0.05)
                    continue
                if answer.is_success:
                    answered.extend(answer.json()["event_ids"])
                    unknown["again"] += answer.json()["duplicates"]
                    break
                assert answer.status_code == 503, answer.text
                time.sleep(0.05)

    clients = [threading.Thread(target=client, args=(name,)) for name in range(4)]
    rng, taken = random.Random(1), 0
    try:
        stream.start()
        for thread in clients:
            thread.start()
        while any(thread.is_alive() for thread in clients):
            time.sleep(rng.uniform(0.1, 0.6))
            victim = rng.randrange(2)
            servers[victim].kill()
            kills["server"] += 1
            servers[victim] = Server(output, ports[victim], VITRINE_COMMIT_SECONDS="0.02")
            if len(stream.taken()) > taken:  # it has worked since it was killed
                stream.kill()
                kills["stream"] += 1
                taken = len(stream.taken())
                stream.start()
                if kills["stream"] == 2:
                    enough.set()
        for server in servers:
            server.stop()
        stream.until_done()
        assert stream.stop() == 0
    finally:
        StreamProcess.end_all()
    print(f"\nkills {dict(kills)}, requests without an answer and ids sent again {dict(unknown)}")
    assert kills["server"] >= 2
    assert kills["stream"] >= 2
    assert unknown["lost"] > 0, "no request met a kill: nothing was tested"
    assert len(answered) >= 4 * 40 * 3
    for rows in (
        Counter(row["event_id"] for row in landed(output / "landing")),
        Counter(row["user_session"] for row in folder_rows(stream.folders.archive)),
    ):
        assert set(rows) == set(answered)
        assert set(rows.values()) == {1}, [name for name, count in rows.items() if count > 1]
