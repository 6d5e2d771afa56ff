"""A stream as a process of its own, to be killed, stopped and started again; and what it left."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

import psutil

from app.core.settings import Settings
from app.stream.archive import Archive
from app.stream.epoch import current, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.list_files import parts
from app.stream.source_log import consumed_files
from app.stream.window_files import WINDOW_KEY, counted_up_to, read_windows
from tests.influxd import InfluxServer
from tests.stream.lists import latest_lists, read_lists
from tests.stream.shop import folder_rows, until

EVENT_KEY = ("event_time", "event_type", "product_id", "user_id", "user_session")


class StreamProcess:
    """`vitrine stream` over an output folder, with short triggers; started and ended as often as one likes.

    `program` runs in place of the command.
    """

    running: ClassVar[set[int]] = set()  #: process groups, so that a failed test leaves none behind

    def __init__(self, output: Path, influx: InfluxServer | None = None, program: str = "", **settings: Any):
        self.output = output
        self._python = ["-c", program] if program else ["-m", "app.cli"]
        self.folders = StreamFolders.of(Settings(output=output, landing=settings.get("landing")))
        given = {"stream_partitions": 2, "windows_seconds": 0.5, **settings}
        self._environment = os.environ | {f"VITRINE_{name.upper()}": str(value) for name, value in given.items()}
        if influx is not None:
            config = influx.config
            self._environment |= {"VITRINE_INFLUX_URL": config.url, "VITRINE_INFLUX_TOKEN": config.token}
            self._environment |= {"VITRINE_INFLUX_TIMEOUT": "5"}
        self.log = output.with_name(f"{output.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    def start(self) -> None:
        command = [sys.executable, *self._python, "stream", "--output", str(self.output)]
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

    def kill(self, which: Literal["all", "driver", "python"] = "all") -> int:
        """kill -9; returns how many of Spark's Python workers went with it.

        Parameters
        ----------
        which
            All at once, as where a machine is lost; Python and its JVM, whose workers must notice; or Python alone.
        """
        assert self._process is not None
        workers = 0
        if which == "all":
            workers = self.signal(signal.SIGKILL)
        elif which == "driver":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait(60)
        return workers

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to Python, its JVM and the JVM's workers; returns how many these are.

        Spark gives the workers a process group of their own.
        """
        assert self._process is not None
        driver, workers = psutil.Process(self._process.pid), 0
        for process in (driver, *driver.children(recursive=True)):
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                workers += os.getpgid(process.pid) != driver.pid
                process.send_signal(number)
        return workers

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
        """Micro-batches that were committed."""
        epoch = current(self.folders)
        return newest_number(epoch.checkpoint / "commits") + 1 if epoch else 0

    def in_flight(self) -> bool:
        """Whether a micro-batch was begun and not committed."""
        epoch = current(self.folders)
        if epoch is None:
            return False
        return newest_number(epoch.checkpoint / "offsets") > newest_number(epoch.checkpoint / "commits")

    def taken(self) -> set[str]:
        """Files that were committed."""
        try:
            epoch = current(self.folders)
            return consumed_files(epoch.checkpoint) if epoch else set()
        except OSError:  # a start is just taking over the checkpoint
            return set()

    def archived(self) -> int:
        archive = Archive.of(self.folders)
        if not archive.folder.is_dir():  # killed before it had made it
            return 0
        return archive.rows(marked(self.folders))

    def until_done(self, seconds: float = 240) -> None:
        """Wait until every file of the landing folder is committed, and counted in windows."""

        def done() -> bool:
            assert self.ended() is None, self.said()[-3000:]
            landed = {path.name for path in self.folders.landing.iterdir() if not path.name.startswith(".")}
            epoch = current(self.folders)
            if epoch is None or not landed <= _committed(epoch.checkpoint):
                return False
            newest = Archive.of(self.folders).newest(marked(self.folders))
            return counted_up_to(self.folders.windows, epoch.number) >= newest

        until(done, "all files are done with", seconds)

    def windows(self) -> list[dict[str, Any]]:
        return read_windows(self.folders.windows, marked(self.folders)).to_pylist()

    def outcome(self) -> dict[str, Any]:
        """What must be the same whatever happened on the way."""
        archive = Counter(tuple(row[name] for name in EVENT_KEY) for row in folder_rows(self.folders.archive))
        windows = {tuple(row[name] for name in WINDOW_KEY): (row["events"], row["revenue"]) for row in self.windows()}
        last: dict[int, dict[int, int]] = {}
        for row in latest_lists(self.folders.lists, marked(self.folders)).to_pylist():
            last.setdefault(row["user_id"], {})[row["rank"]] = row["product_id"]
        return {"archive": archive, "windows": windows, "last": last}

    def lists(self) -> list[dict[str, Any]]:
        """Rows of all lists that are kept."""
        return read_lists(self.folders.lists, marked(self.folders)).to_pylist()

    def rejected(self) -> int:
        return len(folder_rows(self.folders.rejected))

    def of_others(self) -> list[str]:
        """Files of lists that another stream wrote than the one whose they are."""
        epochs = marked(self.folders)
        return [
            name
            for folder in (self.folders.lists, self.folders.csv)
            for number, epoch, name in parts(folder)
            if epoch != epochs.owner(number)
        ]

    def left_behind(self) -> list[str]:
        """What streams that were killed were at, and the next one must have cleared away."""
        epoch = current(self.folders)
        assert epoch is not None
        staged = [path for folder in (self.folders.archive, self.folders.rejected) for path in folder.glob(".batch*")]
        checkpoints = [path for path in self.folders.checkpoints.iterdir() if path != epoch.folder]
        return [*map(str, staged + checkpoints), *self.of_others()]

    def doubled(self) -> list[Any]:
        """Places of lists that stand twice in a micro-batch."""
        places = Counter((row["batch"], row["user_id"], row["rank"]) for row in self.lists())
        return [place for place, count in places.items() if count > 1]


def _committed(checkpoint: Path) -> set[str]:
    """Names of the files of all micro-batches that were committed; none while one is under way."""
    if newest_number(checkpoint / "offsets") > newest_number(checkpoint / "commits"):
        return set()
    return {unquote(name.rsplit("/", 1)[1]) for name in consumed_files(checkpoint)}


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
