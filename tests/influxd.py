"""A real InfluxDB 2 for tests: the `influxd` on PATH, on a free port, in a folder of the test."""

import csv
import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from app.monitor.influx import InfluxConfig

START_SECONDS = 30


def find_influxd() -> str | None:
    """The server program: on PATH, or in the cache that the development cluster's scripts fill."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "kind-stand-in"
    cached = Path(os.environ.get("CLUSTER_CACHE", str(cache))) / "bin"
    return shutil.which("influxd") or shutil.which("influxd", path=str(cached))


class InfluxServer:
    """A server that can be stopped, killed and started again with its data."""

    def __init__(self, folder: Path, program: str, org: str = "shop", bucket: str = "vitrine") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.config = InfluxConfig(f"http://127.0.0.1:{port}", "token-of-the-tests", org, bucket, timeout=5)
        self._folder, self._process = folder, None
        self._command = [
            program,
            "--http-bind-address",
            f"127.0.0.1:{port}",
            "--bolt-path",
            str(folder / "bolt"),
            "--sqlite-path",
            str(folder / "sqlite"),
            "--engine-path",
            str(folder / "engine"),
            "--reporting-disabled",
        ]
        self.start()
        self._post(
            "/api/v2/setup",
            {"username": "tests", "password": "tests-only", "org": org, "bucket": bucket, "token": self.config.token},
        )

    _process: "subprocess.Popen[bytes] | None"

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.config.url}/health", timeout=1):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise TimeoutError(f"influxd did not answer within {START_SECONDS} s, see {self._folder / 'log'}")

    def stop(self) -> None:
        """End it as an operator would."""
        self._end("terminate")

    def kill(self) -> None:
        """End it as a crash would."""
        self._end("kill")

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(timeout=30)
            self._process = None

    def query(self, flux: str) -> list[dict[str, str]]:
        """Rows of a Flux query, as text by column name; raises RuntimeError with the server's message."""
        text = self._post(
            f"/api/v2/query?org={self.config.org}",
            {"query": flux, "dialect": {"header": True, "annotations": []}},
        )
        tables = [list(csv.DictReader(io.StringIO(block))) for block in text.replace("\r\n", "\n").split("\n\n")]
        rows = [row for table in tables for row in table]
        if rows and "error" in rows[0]:
            raise RuntimeError(rows[0]["error"])
        return rows

    def count(self, measurement: str, field: str) -> int:
        """Points of a measurement that have the field, over all time."""
        rows = self.query(
            f'from(bucket: "{self.config.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) '
            f'|> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}") |> group() |> count()'
        )
        return int(rows[0]["_value"]) if rows else 0

    def _post(self, path: str, body: dict[str, Any]) -> str:
        request = urllib.request.Request(
            self.config.url + path,
            json.dumps(body).encode(),
            {
                "Authorization": f"Token {self.config.token}",
                "Content-Type": "application/json",
                "Accept": "application/csv",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{error.code} {error.read().decode()}") from None
