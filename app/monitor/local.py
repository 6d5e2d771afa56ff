"""An InfluxDB of one's own, for the live demo and the tests: `influxd` on a free port."""

import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from app.core.errors import VitrineError
from app.monitor.influx import InfluxConfig

START_SECONDS = 60


class LocalInflux:
    """A server with its data in a folder; it can be stopped, killed and started again.

    Parameters
    ----------
    folder
        Where its data and log go; must exist. One that a server used before can't be set up again.
    program
        The `influxd` to run.
    org, bucket
        Made at the first start, with a random token (`config.token`).
    """

    def __init__(self, folder: Path, program: str, org: str = "vitrine", bucket: str = "vitrine") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.config = InfluxConfig(f"http://127.0.0.1:{port}", secrets.token_urlsafe(32), org, bucket, timeout=5)
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        paths = [part for name in ("bolt", "sqlite", "engine") for part in (f"--{name}-path", str(folder / name))]
        self._command = [program, "--http-bind-address", f"127.0.0.1:{port}", *paths, "--reporting-disabled"]
        account = {"username": "vitrine", "password": secrets.token_urlsafe(16), "org": org, "bucket": bucket}
        try:
            self.start()
            self.post("/api/v2/setup", account | {"token": self.config.token})
        except BaseException:
            self.kill()
            raise

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.config.url}/health", timeout=1):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise VitrineError(f"influxd did not answer within {START_SECONDS} s, see {self._log}")

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

    def post(self, path: str, body: dict[str, Any]) -> str:
        """Post JSON to the server; returns the answer's text."""
        headers = {
            "Authorization": f"Token {self.config.token}",
            "Content-Type": "application/json",
            "Accept": "application/csv",
        }
        request = urllib.request.Request(self.config.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise VitrineError(f"InfluxDB answered {error.code}: {error.read().decode()}") from None
