"""What goes on beside the micro-batches: windows counted, rows accounted for, old and small files cleared away."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.core.errors import VitrineError, is_away
from app.core.lease import Lease
from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.events.forgotten import ForgottenUsers
from app.events.merged_users import MergedUsers
from app.registry.identities import EVERYONE, Identities
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.csv_parts import CsvParts
from app.stream.cutting import Cutting
from app.stream.damaged import delete_old
from app.stream.differences import Unaccounted
from app.stream.epoch import Epoch, drop_marks, drop_uncounted_lists, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.forgetting import ListCleaner
from app.stream.landing import LandedFiles
from app.stream.list_files import oldest_part, prune
from app.stream.points import PointSink, accounts_line
from app.stream.rejected import RejectedCleaner
from app.stream.shrinking import DAY, Shrinking
from app.stream.source_names import SourceNames
from app.stream.telemetry import Telemetry
from app.stream.window_counter import WindowCounter

TIDY_SECONDS = 60.0
LATE_SECONDS = 5.0  #: in which lists of a stream that was paused and replaced, and has woken up, are seen
AUDIT_SECONDS = 20.0
FORGET_SECONDS = 10.0
NAMES_SECONDS = 900.0  #: between two stops of the query that its source may forget names, at the least
INFLUX_SECONDS = 3_600.0
IDLE_SHARE = 4.0  #: after a costly job, so many times its length is left to the micro-batches
LONGEST_IDLE = 15.0  #: seconds, at the most


@dataclass
class Housekeeping:
    """One thread; what it fails with is kept in `failure`.

    `lost` gets a line about a file of its own that is lost, damaged or away for long, or a delivered one that is passed
    over. `names_too_many` is set when names of landed files should be forgotten, for which the query must stand still.
    """

    settings: Settings
    folders: StreamFolders
    archive: Archive
    accounts: Accounts
    windows: WindowCounter
    telemetry: Telemetry
    points: PointSink
    epoch: Epoch
    lease: Lease
    say: Callable[[str], Any]
    lost: Callable[[str], Any]
    failure: Exception | None = None
    names_too_many: threading.Event = field(default_factory=threading.Event)
    _said: frozenset[str] = frozenset()
    _unreadable: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _shrinks: threading.Thread | None = None
    _names_due: float = float("-inf")

    def __post_init__(self) -> None:
        self._landed = LandedFiles(self.folders.landing, self.epoch.checkpoint, self.lease, self.lost)
        self._forgotten, self._merged = ForgottenUsers(self.settings.output), MergedUsers(self.settings.output)
        self._cleaner = ListCleaner(self.folders, self.settings)
        self._rejected = RejectedCleaner(self.folders, self.settings)
        self._csv = CsvParts(self.folders.lists, self.folders.csv, self.lost)
        self._shrinking = Shrinking(
            self.settings,
            self.archive,
            self.accounts,
            self.epoch,
            self.lease,
            self.windows.counted,
            self._stopping.is_set,
            self.say,
            Cutting(self.folders, self.archive, self.epoch, self.lease.check, self.say),
        )

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
        except (VitrineError, OSError) as error:  # InfluxDB is away, a folder: the next start counts again
            if isinstance(error, OSError) and not (isinstance(error, FileNotFoundError) or is_away(error)):
                raise
            self.say(str(error))

    def _run(self) -> None:
        jobs = [
            Job(self.windows.show, self.settings.windows_seconds),
            Job(self.windows.settle, self.settings.windows_seconds),
            Job(lambda: drop_uncounted_lists(self.folders), LATE_SECONDS),
            Job(self.audit, AUDIT_SECONDS),
            Job(self.windows.look, AUDIT_SECONDS),
            Job(self.mend_csv, AUDIT_SECONDS),
            Job(self.tidy, TIDY_SECONDS),
            Job(self.clean_landing, TIDY_SECONDS),
            Job(self.clean_lists, FORGET_SECONDS),
            Job(self._shrink_influx, INFLUX_SECONDS),
        ]
        try:
            while not self._stopping.wait(0.1):
                for job in jobs:
                    self._do(job)
        except Exception as error:  # the stream's own thread raises it
            self.failure = error

    def _do(self, job: "Job") -> None:
        """Do something if it is due; what is away meanwhile, or just replaced, is looked at again."""
        try:
            try:
                job.run_if_due(self.lease.check)
            except FileNotFoundError as error:  # a micro-batch that is done again replaces its folder
                self.folders.check()
                self.say(f"{error.filename or error}: has just been replaced or deleted; looked at again")
                self.windows.refresh()
        except OSError as error:
            if not is_away(error):
                raise
            if job.meets(error):
                self.say(f"{error}; looked at again")

    def audit(self) -> None:
        """Hold the archive against the accounts, and tell of a difference once.

        Raises
        ------
        InputError
            A folder is gone: Spark waits for files in a landing folder that is gone, and says nothing.
        """
        self.folders.check()
        differences = self.accounts.audit()
        unaccounted = Unaccounted.of(differences)
        self.telemetry.audited(unaccounted)
        told = frozenset(map(str, differences))
        for text in sorted(told - self._said):
            self.say(f"accounts: {text}; the folder is {self.folders.root}")
        self._said = told
        self.points.offer([accounts_line(unaccounted, time.time())])  # not taken: the next audit's figure is newer

    def mend_csv(self) -> None:
        """Write lists as CSV again where they are lost."""
        self._csv.mend(marked(self.folders), newest_number(self.epoch.checkpoint / "commits"))

    def tidy(self) -> None:
        """Put small folders together, and delete what is old or was replaced."""
        epochs = marked(self.folders)
        if self.settings.archive_days is not None:
            self.lease.check()
            delete_old(self.folders, time.time() - self.settings.archive_days * DAY)
        kept_from = self.archive.newest(epochs) + 1 - self.settings.keep_list_batches
        self.accounts.keep_lists(kept_from)
        for folder in (self.folders.lists, self.folders.csv):
            prune(folder, kept_from)
        drop_marks(self.folders, min(oldest_number(self.folders), self.accounts.oldest()))
        try:  # last: a folder that is away keeps nothing else from being done
            self._shrinking.run(epochs, (self._who() or EVERYONE).forgotten)
        finally:  # what was deleted must not be counted from
            self.windows.refresh()

    def clean_landing(self) -> None:
        """Tell of landed files that came again, and delete those that are done with, if that is wanted."""
        if not self.settings.clean_landing:
            self._landed.look()
        else:
            self._landed.clean()
            now = time.monotonic()
            if now >= self._names_due and SourceNames(self.epoch.checkpoint, self.folders.landing).too_many():
                self._names_due = now + NAMES_SECONDS
                self.names_too_many.set()

    def clean_lists(self) -> None:
        """Take forgotten users out of list files and rejected rows."""
        who = self._who()
        if who is not None:
            self._cleaner.run(who.forgotten, who.merged, self.epoch.checkpoint)
            self._rejected.run(who.forgotten)

    def _who(self) -> Identities | None:
        """None where a file system is away for a moment: it is looked at again."""
        try:
            who = Identities(self._forgotten.read(), self._merged.read())
        except OSError as error:
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                self.say(f"forgotten and merged users: {error}; looked at again")
            return None
        self._unreadable = ""
        return who

    def _shrink_influx(self) -> None:
        """In a thread of its own: to delete takes InfluxDB its time."""
        if self.settings.influx_days is None or (self._shrinks is not None and self._shrinks.is_alive()):
            return
        self._shrinks = threading.Thread(target=self._delete_points, args=(self.settings.influx_days,), daemon=True)
        self._shrinks.start()

    def _delete_points(self, days: float) -> None:
        try:
            self.points.delete_old(days, datetime.now(UTC))
        except VitrineError as error:  # tried again in an hour; no data depends on it
            self.say(str(error))


@dataclass
class Job:
    """Something done every so many seconds, and left alone for as long as it is costly."""

    do: Callable[[], None]
    seconds: float
    _due: float = 0.0
    _met: str = ""

    def run_if_due(self, check: Callable[[], None]) -> None:
        """Do it if it is due; `check` raises if the stream was replaced, since it is its successor's then."""
        begun = time.monotonic()
        if begun < self._due:
            return
        self._due = begun + self.seconds
        check()
        self.do()
        self._met = ""
        ended = time.monotonic()
        self._due = max(begun + self.seconds, ended + min(LONGEST_IDLE, IDLE_SHARE * (ended - begun)))

    def meets(self, error: Exception) -> bool:
        """Whether this is another error than that of the last time."""
        before, self._met = self._met, str(error)
        return self._met != before


def oldest_number(folders: StreamFolders) -> int:
    """The lowest micro-batch that anything is left of in archive or lists, whether it counts or not."""
    parts = [BatchRange.parse(path.name) for folder in (folders.archive, folders.rejected) for path in folder.iterdir()]
    numbers = [part.first for part in parts if part is not None and part.first >= 0]
    numbers += [number for folder in (folders.lists, folders.csv) if (number := oldest_part(folder)) is not None]
    return min(numbers, default=0)
