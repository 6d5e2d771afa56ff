"""What asks an API in tests: in the same process, or over a socket."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from app.api.http import application
from app.api.service import Service
from app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"listening at (http://\S+)")
Answer = httpx.Response


class Api:
    """An API without a socket; requests of `together` are in flight at the same time."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time):
        self.settings, self.said = settings, list[str]()
        self.service = Service(settings, self.said.append, now)
        self.app = application(self.service, "test")
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False), base_url="http://shop"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._runner.run(self._client.aclose())
        self.service.close()
        self._runner.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Answer:
        return self.ask("POST", path, json=body, **options)

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        return self._runner.run(self._client.request(method, path, **options))

    def together(self, requests: Iterable[tuple[str, str, Any]]) -> list[Answer]:
        """Answers to requests (method, path, body), sent at once."""

        async def all_of_them() -> list[Answer]:
            sent = [self._client.request(method, path, json=body) for method, path, body in requests]
            return list(await asyncio.gather(*sent))

        return self._runner.run(all_of_them())

    def metric(self, name: str, **labels: str) -> float | None:
        return self.service.metrics.registry.get_sample_value(name, labels)


def ids(answer: Answer) -> list[int]:
    """The products of a list, best first."""
    assert answer.status_code == 200, answer.text
    return [int(product["product_id"]) for product in answer.json()["products"]]


def event(number: int, user: int | str = 77, product: int | str = 100, **others: Any) -> dict[str, Any]:
    return {"event_id": f"e-{number}", "event_type": "view", "product_id": product, "user_id": user, **others}


def landed(landing: Path) -> list[dict[str, Any]]:
    """Rows of all files in the landing folder, in the order of their names."""
    return [row for path in sorted(landing.glob("*.parquet")) for row in table(path).to_pylist()]


def table(path: Path) -> pa.Table:
    return pq.read_table(path)


class Server:
    """A server process over a folder, on a free port or a given one; `program` runs in place of the command."""

    def __init__(self, output: Path, port: int = 0, program: str = "", **environment: str):
        python = ["-c", program] if program else ["-m", "app.cli"]
        command = [sys.executable, *python, "serve", "--output", str(output), "--port", str(port)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if found := LISTENING.search(line):
                self.url = found.group(1)
                return
        raise AssertionError(f"it did not start: {self.lines}")

    def wait(self, seconds: float = 60) -> Self:
        """Until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return self
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError("not ready")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.stderr is not None
        self.lines += self.process.stderr.read().splitlines()
        return self.process.wait(60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
