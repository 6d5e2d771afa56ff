"""What goes on beside the micro-batches: windows counted, rows accounted for, old and small files cleared away."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from app.core.errors import VitrineError
from app.core.lease import Lease, training_lease
from app.core.settings import Settings
from app.events.archive_names import Epochs
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.compaction import OLD_ENOUGH, delete_old, delete_uncounted, due, put_together
from app.stream.epoch import marked
from app.stream.folders import StreamFolders
from app.stream.list_files import drop_uncounted, prune
from app.stream.points import PointSink
from app.stream.telemetry import Telemetry
from app.stream.window_counter import WindowCounter

POOL = "beside"  #: Spark's scheduler pool of the counting
LANDING_MARGIN = 600.0  #: seconds: files so much older than the newest one done with may be deleted
TIDY_SECONDS = 60.0
AUDIT_SECONDS = 20.0
INFLUX_SECONDS = 3_600.0
IDLE_SHARE = 4.0  #: after a costly job, so many times its length is left to the micro-batches
LONGEST_IDLE = 15.0  #: seconds, at the most
DAY = 86_400.0


@dataclass
class Housekeeping:
    """One thread; what it fails with is kept in `failure`."""

    spark: SparkSession
    settings: Settings
    folders: StreamFolders
    archive: Archive
    accounts: Accounts
    windows: WindowCounter
    telemetry: Telemetry
    points: PointSink
    say: Callable[[str], Any]
    failure: Exception | None = None
    _said: frozenset[str] = frozenset()
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def _training(self) -> Lease:
        """Of a training that may just be reading the archive."""
        return training_lease(self.settings.output)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self, until: float) -> None:
        """End after what is being done, or at a moment of `time.monotonic`; then count what is left."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
            if self._thread.is_alive() or self.failure is not None:
                return
        try:
            if time.monotonic() < until:
                self.windows.settle(everything=True)
        except VitrineError as error:  # InfluxDB is away: the next start counts again
            self.say(str(error))

    def _run(self) -> None:
        self.spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
        jobs = [
            _Job(self.windows.show, self.settings.windows_seconds),
            _Job(self.windows.settle, self.settings.windows_seconds),
            _Job(self.audit, AUDIT_SECONDS),
            _Job(self.tidy, TIDY_SECONDS),
            _Job(self._shrink_influx, INFLUX_SECONDS),
        ]
        try:
            while not self._stopping.wait(0.1):
                for job in jobs:
                    try:
                        job.run_if_due()
                    except FileNotFoundError as error:  # a micro-batch that is done again replaces its folder
                        self.say(f"{error.filename}: has just been replaced or deleted; looked at again")
        except Exception as error:  # the stream's own thread raises it
            self.failure = error

    def audit(self) -> None:
        """Hold the archive against the accounts, and tell of a difference once."""
        differences = self.accounts.audit()
        self.telemetry.audited(sum(abs(difference.expected - difference.found) for difference in differences))
        told = frozenset(map(str, differences))
        for text in sorted(told - self._said):
            self.say(f"accounts: {text}; the folder is {self.folders.archive}")
        self._said = told

    def tidy(self) -> None:
        """Put small folders together, and delete what is old."""
        epochs = marked(self.folders)
        if not self._training.seems_held():
            self._shrink_archive(epochs, time.time())
        kept_from = self.archive.newest(epochs) + 1 - self.settings.keep_list_batches
        for folder in (self.folders.lists, self.folders.csv):
            drop_uncounted(folder, epochs)
            prune(folder, kept_from)
        if self.settings.clean_landing:
            clean_landing(self.folders.landing, self.telemetry.consumed())
        self.windows.refresh()

    def _shrink_archive(self, epochs: Epochs, now: float) -> None:
        delete_uncounted(self.archive, epochs)
        if self.settings.archive_days is not None:
            kept_from = delete_old(self.archive, epochs, now - self.settings.archive_days * DAY)
            self.accounts.forget(kept_from)
        while not self._stopping.is_set():
            found = due(self.archive.older(epochs, now - OLD_ENOUGH))
            if found is None:
                return
            try:
                put_together(self.archive, *found)
            except VitrineError as error:  # a folder that does not hold what it must: told by the accounts too
                self.say(str(error))
                return

    def _shrink_influx(self) -> None:
        if self.settings.influx_days is None:
            return
        try:
            self.points.delete_old(self.settings.influx_days, datetime.now(UTC))
        except VitrineError as error:  # tried again in an hour; no data depends on it
            self.say(str(error))


@dataclass
class _Job:
    """Something done every so many seconds, and left alone for as long as it is costly."""

    do: Callable[[], None]
    seconds: float
    _due: float = 0.0

    def run_if_due(self) -> None:
        begun = time.monotonic()
        if begun < self._due:
            return
        self._due = begun + self.seconds
        self.do()
        ended = time.monotonic()
        self._due = max(begun + self.seconds, ended + min(LONGEST_IDLE, IDLE_SHARE * (ended - begun)))


def clean_landing(landing: Path, consumed: float) -> None:
    """Delete files that are long archived.

    Parameters
    ----------
    landing
        The landing folder; files being written (a leading dot or underscore) stay.
    consumed
        Arrival of the newest file that was committed, in seconds since 1970. Files are taken roughly in the
        order of their arrival; a margin is for those that are not.
    """
    done = consumed - LANDING_MARGIN
    for path in landing.iterdir():
        if path.is_file() and not path.name.startswith((".", "_")) and _arrived(path) < done:
            path.unlink()


def _arrived(path: Path) -> float:
    """When a file came: a rename keeps the time of its content, and sets that of its inode."""
    stat = path.stat()
    return max(stat.st_mtime, stat.st_ctime)
