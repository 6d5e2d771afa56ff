"""Keeps the counts of windows up to date, beside the micro-batches.

While events come into a window, the sums of each micro-batch are added to what stood for it. Once it is left
alone for a while it is counted anew from the archive, which costs more, and in which copies count once.

A window that the archive has no longer, or not all of, can't be counted anew: what comes into it is added to what
stood once its micro-batch is committed, since one that is not is done again after a kill, and would be added twice.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.stream.archive import Archive
from app.stream.epoch import Epoch, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.intake import Window
from app.stream.owed_points import OwedPoints
from app.stream.points import PointSink
from app.stream.window_files import (
    WINDOW_SCHEMA,
    counted_up_to,
    note_counted,
    read_windows,
    replace_windows,
)
from app.stream.windows import count_windows

AT_ONCE = 1_000  #: windows counted by one job: bounds what comes back from it
ALONE = 2.0  #: times `windows_seconds` without a new event, after which a window is counted anew

Sums = dict[tuple[str, str], tuple[int, int]]  #: (event type, main category) → events, hundredths of revenue


@dataclass
class _Open:
    """A window that events came into since it was counted from the archive.

    `since`: the first micro-batch that brought some, and `recent` the first since it was begun to be counted;
    `base`: what stood for it before, None if that is not known; `changed`: when the last came, as the clock says;
    `shown`: whether all of them are in files and points.
    """

    since: int
    base: Sums | None
    changed: float
    sums: Sums = field(default_factory=dict)
    shown: bool = False
    recent: int | None = None


class WindowCounter:
    """Counts of windows, in files and as points.

    Thread-safe: micro-batches add, one thread counts.

    Parameters
    ----------
    spark, settings, folders, epoch
        Of the stream.
    points
        Where counts go beside the files.
    say
        Gets a line about a file of counts that is damaged.
    clock
        Seconds, as `time.monotonic`.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        folders: StreamFolders,
        epoch: Epoch,
        points: PointSink,
        say: Callable[[str], Any],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._spark, self._settings, self._folders, self._epoch = spark, settings, folders, epoch
        self._say, self._clock = say, clock
        self._owed = OwedPoints(points, self._read)
        self._archive = Archive.of(folders)
        self._lock = threading.Lock()
        self._folders_of: dict[BatchRange, list[int]] = {}  # windows of each folder that counts
        self._open: dict[int, _Open] = {}
        self._again: dict[int, int] = {}  # windows whose counts were lost, with the first micro-batch that brought some
        self._late: dict[BatchRange, dict[int, Sums]] = {}  # for windows that can't be counted anew, by micro-batch
        self._noted = self._newest = counted = counted_up_to(folders.windows, epoch.number)
        self.refresh()
        since: dict[int, int] = {}
        for part, windows in self._folders_of.items():
            if part.last > counted:
                self._newest = max(self._newest, part.last)
                for start in windows:
                    since.setdefault(start, part.first)
        deleted = self._archive.deleted_up_to()
        late = self._standing([start for start in since if start <= deleted])  # in files, perhaps not yet in points
        self._open = {start: _Open(first, late.get(start), float("-inf")) for start, first in since.items()}

    def counted(self) -> int:
        """The last micro-batch whose events are all counted."""
        return self._noted

    def refresh(self) -> None:
        """Look at the archive's folders anew: at the start, and when some were put together or deleted."""
        with self._lock:
            known = dict(self._folders_of)
        found = {
            part: known[part] if part in known else self._archive.windows(part, self._settings.window_minutes)
            for part in self._archive.folders(marked(self._folders))
        }
        with self._lock:
            added = {part: windows for part, windows in self._folders_of.items() if part not in known}
            self._folders_of = found | added

    def archived(self, part: BatchRange, sums: Mapping[Window, tuple[int, int]]) -> None:
        """Take note of a micro-batch that is in the archive."""
        by_window = dict[int, Sums]()
        for (start, kind, category), figures in sums.items():
            by_window.setdefault(start, {})[kind, category] = figures
        deleted = self._archive.deleted_up_to()
        with self._lock:
            self._newest = part.last
            if by_window:
                self._folders_of[part] = [*by_window]
            late = {start: by_window.pop(start) for start in [*by_window] if start <= deleted}
            self._late.pop(part, None)  # of a first try
            if late:
                self._late[part] = late
            self._take(part, by_window)

    def _take_committed(self) -> None:
        """Take what came into windows that can't be counted anew, of micro-batches that will not be done again."""
        committed = newest_number(self._epoch.checkpoint / "commits")
        for part in [part for part in self._late if part.last <= committed]:
            self._take(part, self._late.pop(part))

    def _take(self, part: BatchRange, by_window: Mapping[int, Sums]) -> None:
        now = self._clock()
        new = [start for start in by_window if start not in self._open]
        for start, stood in self._standing(new).items():
            self._open[start] = _Open(part.first, stood, now)
        for start, figures_of in by_window.items():
            window = self._open[start]
            window.changed, window.shown = now, False
            window.recent = part.first if window.recent is None else window.recent
            _add(window.sums, figures_of)

    def show(self) -> None:
        """Put what came into windows into files and points."""
        with self._lock:
            self._take_committed()
            fresh = {
                start: window for start, window in self._open.items() if not window.shown and window.base is not None
            }
            rows = [row for start, window in fresh.items() for row in _rows(start, window)]
            for window in fresh.values():
                window.shown = True
        if fresh:
            self._replace(_table(rows), {start: window.since for start, window in fresh.items()})
        self._owed.pay()

    def settle(self, *, everything: bool = False) -> None:
        """Count windows anew that are left alone, or all that are open.

        Those that the archive does not hold all events of any more keep what stood, and what came to it.

        Raises
        ------
        FileNotFoundError
            A folder is gone. What was begun is counted the next time, after `refresh`.
        """
        before = float("inf") if everything else self._clock() - ALONE * self._settings.windows_seconds
        deleted = self._archive.deleted_up_to()
        self.show()
        with self._lock:
            self._count_again(deleted)
            self._keep_what_stands([start for start in self._open if start <= deleted])
            alone = {
                start: window for start, window in self._open.items() if start > deleted and window.changed <= before
            }
            folders = list(self._folders_of.items())
            for window in alone.values():  # what comes from here on is not in these folders
                window.base, window.sums, window.recent = None, {}, None
        starts = sorted(alone)
        for begin in range(0, len(starts), AT_ONCE):
            self._count({start: alone[start].since for start in starts[begin : begin + AT_ONCE]}, folders)
        with self._lock:
            standing = self._standing([start for start, window in alone.items() if window.recent is not None])
            for start, window in alone.items():
                if window.recent is None:
                    del self._open[start]
                else:
                    window.base, window.since, window.shown = standing[start], window.recent, False
            waiting = [window.since for window in self._open.values()] + [part.first for part in self._late]
            counted = min(waiting, default=self._newest + 1) - 1
        owed = self._owed.since()  # a window is counted once its points are there as well
        counted = counted if owed is None else min(counted, owed - 1)
        if counted != self._noted:
            note_counted(self._folders.windows, self._epoch.number, counted)
            self._noted = counted

    def _count_again(self, deleted: int) -> None:
        """Open what was lost with a damaged file, as far as the archive has all of it."""
        for start in [*self._again]:
            since = self._again.pop(start)
            if start > deleted:
                self._open.setdefault(start, _Open(since, None, float("-inf")))

    def _set_aside(self, path: Path, why: str) -> None:
        """Move a day's damaged file out of the way; killed from here on, the next start counts its windows as well."""
        day = path.name[: len("2019-10-01")]
        since: dict[int, int] = {}
        for part, windows in [*self._folders_of.items()]:
            for start in windows:
                if datetime.fromtimestamp(start / 1e6, UTC).strftime("%Y-%m-%d") == day:
                    since[start] = min(part.first, since.get(start, part.first))
        self._noted = min([self._noted, *(first - 1 for first in since.values())])
        note_counted(self._folders.windows, self._epoch.number, self._noted)
        target = self._folders.damaged / f"windows-{path.name}"
        with suppress(FileNotFoundError):  # moved just now, by the other thread
            path.replace(target)
        self._again |= since
        self._say(
            f"{path}: is damaged ({why}); moved to {target}, its windows are counted again from the archive, as far as "
            "that goes back"
        )

    def _keep_what_stands(self, starts: list[int]) -> None:
        """Close windows whose events are not all in the archive any more; what came just now is shown first."""
        for start, stood in self._standing([start for start in starts if self._open[start].base is None]).items():
            self._open[start].base = stood
        for start in starts:
            if self._open[start].shown:
                del self._open[start]

    def _count(self, since: Mapping[int, int], folders: Iterable[tuple[BatchRange, list[int]]]) -> None:
        files = [
            path
            for part, windows in folders
            if not since.keys().isdisjoint(windows)
            for path in self._archive.files(part)
        ]
        counts = count_windows(self._spark, files, since, self._settings) if files else WINDOW_SCHEMA.empty_table()
        self._replace(counts, since)

    def _replace(self, counts: pa.Table, since: Mapping[int, int]) -> None:
        replace_windows(counts, since, self._folders.windows, self._epoch.number, self._set_aside)
        self._owed.write(counts, since)

    def _read(self, starts: list[int]) -> pa.Table:
        wanted = pa.array(starts, pa.timestamp("us", tz="UTC"))
        return read_windows(self._folders.windows, marked(self._folders), wanted, self._set_aside)

    def _standing(self, starts: list[int]) -> dict[int, Sums]:
        """What the files say of windows."""
        standing: dict[int, Sums] = {start: {} for start in starts}
        if starts:
            table = self._read(starts)
            times = pc.cast(table["start"], pa.int64()).to_pylist()
            for start, row in zip(times, table.to_pylist(), strict=True):
                standing[start][row["event_type"], row["main_category"]] = (row["events"], round(row["revenue"] * 100))
        return standing


def _add(sums: Sums, more: Sums) -> None:
    for key, (events, cents) in more.items():
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + events, before[1] + cents


def _rows(start: int, window: _Open) -> list[tuple[int, str, str, int, float]]:
    total = dict(window.base or {})
    _add(total, window.sums)
    return [(start, kind, category, events, cents / 100) for (kind, category), (events, cents) in total.items()]


def _table(rows: list[tuple[int, str, str, int, float]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(WINDOW_SCHEMA)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, WINDOW_SCHEMA, strict=True)], WINDOW_SCHEMA
    )
