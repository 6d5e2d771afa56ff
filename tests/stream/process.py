"""A stream as a process of its own, to be killed, stopped and started again; and what it left."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pyarrow.parquet as pq

from app.core.settings import Settings
from app.stream.folders import StreamFolders
from app.stream.list_files import latest_lists, read_lists
from app.stream.progress import QUERIES
from app.stream.window_files import WINDOW_KEY
from tests.influxd import InfluxServer
from tests.stream.shop import folder_rows, until

EVENT_KEY = ("event_time", "event_type", "product_id", "user_id", "user_session")


class StreamProcess:
    """`vitrine stream` over an output folder, with short triggers; started and ended as often as one likes."""

    running: ClassVar[set[int]] = set()  #: process groups, so that a failed test leaves none behind

    def __init__(self, output: Path, influx: InfluxServer | None = None, **settings: Any):
        self.output = output
        self.folders = StreamFolders.of(Settings(output=output, landing=settings.get("landing")))
        given = {"stream_partitions": 2, "windows_seconds": 0.5, "archive_seconds": 0.5, **settings}
        self._environment = os.environ | {f"VITRINE_{name.upper()}": str(value) for name, value in given.items()}
        if influx is not None:
            config = influx.config
            self._environment |= {"VITRINE_INFLUX_URL": config.url, "VITRINE_INFLUX_TOKEN": config.token}
            self._environment |= {"VITRINE_INFLUX_TIMEOUT": "5"}
        self.log = output.with_name(f"{output.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    def start(self) -> None:
        command = [sys.executable, "-m", "app.cli", "stream", "--output", str(self.output)]
        command += ["--master", "local[2]", "--driver-memory", "1g"]
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        self.running.add(self._process.pid)

    @classmethod
    def end_all(cls) -> None:
        """Kill whatever a test has left."""
        for group in cls.running:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        cls.running.clear()

    def kill(self, *, everything: bool = True) -> None:
        """kill -9: of Python, its JVM and the JVM's workers, or of Python alone, which the others must notice."""
        assert self._process is not None
        if everything:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait(60)

    def stop(self) -> int:
        """SIGTERM, as Kubernetes; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(90)

    def ended(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def said(self) -> str:
        """What it said since its latest start."""
        return self.log.read_bytes()[self._log_begins :].decode()

    def until_ready(self) -> None:
        """Wait until it has come to its first micro-batch."""

        def ready() -> bool:
            assert self.ended() is None, self.said()[-3000:]
            return "waiting for files" in self.said()

        until(ready, "the stream has started")

    def until_ended(self, seconds: float = 120) -> int:
        """Wait until it ends by itself; returns its exit code."""
        until(lambda: self.ended() is not None, f"the stream ends: {self.said()[-1000:]}", seconds)
        code = self.ended()
        assert code is not None
        return code

    def commits(self) -> int:
        """Micro-batches of all queries that were committed."""
        return sum(_newest(self.folders.checkpoint(query) / "commits") + 1 for query in QUERIES)

    def in_flight(self) -> bool:
        """Whether a micro-batch of any query was begun and not committed."""
        checkpoints = [self.folders.checkpoint(query) for query in QUERIES]
        return any(_newest(folder / "offsets") > _newest(folder / "commits") for folder in checkpoints)

    def archived(self) -> int:
        return sum(pq.read_metadata(path).num_rows for path in self.folders.archive.glob("batch-*/*.parquet"))

    def until_done(self, seconds: float = 240) -> None:
        """Wait until every query has committed every file of the landing folder."""

        def done() -> bool:
            assert self.ended() is None, self.said()[-3000:]
            landed = {path.name for path in self.folders.landing.iterdir() if not path.name.startswith(".")}
            return all(landed <= _committed(self.folders.checkpoint(query)) for query in QUERIES)

        until(done, "all files are done with", seconds)

    def windows(self) -> list[dict[str, Any]]:
        return [row for path in self.folders.windows.glob("*.parquet") for row in pq.read_table(path).to_pylist()]

    def outcome(self) -> dict[str, Any]:
        """What must be the same whatever happened on the way."""
        archive = Counter(tuple(row[name] for name in EVENT_KEY) for row in folder_rows(self.folders.archive))
        windows = {tuple(row[name] for name in WINDOW_KEY): (row["events"], row["revenue"]) for row in self.windows()}
        last: dict[int, dict[int, int]] = {}
        for row in latest_lists(self.folders.lists).to_pylist():
            last.setdefault(row["user_id"], {})[row["rank"]] = row["product_id"]
        return {"archive": archive, "windows": windows, "last": last}

    def lists(self) -> list[dict[str, Any]]:
        """Rows of all lists that are kept."""
        return read_lists(self.folders.lists).to_pylist()

    def rejected(self) -> int:
        return len(folder_rows(self.folders.rejected))

    def doubled(self) -> list[Any]:
        """Places of lists that stand twice in a micro-batch."""
        places = Counter((row["batch"], row["user_id"], row["rank"]) for row in self.lists())
        return [place for place, count in places.items() if count > 1]


def _committed(checkpoint: Path) -> set[str]:
    """Names of the files of all micro-batches that a query has committed."""
    last = _newest(checkpoint / "commits")
    if last < 0 or _newest(checkpoint / "offsets") > last:
        return set()
    lines = (checkpoint / "offsets" / str(last)).read_text().splitlines()
    reached = [json.loads(line)["logOffset"] for line in lines if line.startswith('{"logOffset"')]
    names = set()
    for path in checkpoint.glob("sources/*/*"):
        if path.name[0].isdigit():  # and hidden ones are checksums
            entries = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
            names |= {unquote(e["path"].rsplit("/", 1)[1]) for e in entries if e["batchId"] <= max(reached)}
    return names


def _newest(folder: Path) -> int:
    return max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=-1)


def window_points(server: InfluxServer) -> dict[tuple[Any, ...], tuple[int, float]]:
    """Window counts as InfluxDB has them, keyed as `StreamProcess.outcome` keys them."""
    rows = server.query(
        f'from(bucket: "{server.config.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) '
        '|> filter(fn: (r) => r._measurement == "events") '
        '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'
    )
    return {
        (datetime.fromisoformat(row["_time"]), row["event_type"], row["main_category"]): (
            int(row["events"]),
            float(row["revenue"]),
        )
        for row in rows
    }
