"""Keeps the counts of windows up to date, beside the micro-batches.

While events come into a window, the sums of each micro-batch are added to what stood for it. Once it is left
alone for a while it is counted anew from the archive, which costs more, and in which copies count once.

A window that the archive has no longer, or not all of, can't be counted anew: what comes into it is added to what
stood once its micro-batch is committed, since one that is not is done again after a kill, and would be added twice.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.stream.archive import Archive
from app.stream.archive_counts import ArchiveCounts
from app.stream.away_files import Patience
from app.stream.count_files import CountFiles
from app.stream.epoch import Epoch, marked, newest_number
from app.stream.folders import StreamFolders
from app.stream.intake import Window
from app.stream.owed_points import OwedPoints
from app.stream.points import PointSink
from app.stream.window_files import counted_up_to, day, note_counted
from app.stream.window_sums import OpenWindow, Sums, add, rows, table

AT_ONCE = 1_000  #: windows counted at a time: bounds what comes back
GIVEN_UP = "given-up.json"  #: in an epoch's folder: files of the archive that counts are without
ALONE = 2.0  #: times `windows_seconds` without a new event, after which a window is counted anew


class WindowCounter:
    """Counts of windows, in files and as points.

    Thread-safe: micro-batches add, one thread counts.

    Parameters
    ----------
    settings, folders, epoch
        Of the stream.
    points
        Where counts go beside the files.
    say
        Gets a line about a file of counts that is lost, or one of the archive that can't be counted from.
    clock
        Seconds, as `time.monotonic`.
    """

    def __init__(
        self,
        settings: Settings,
        folders: StreamFolders,
        epoch: Epoch,
        points: PointSink,
        say: Callable[[str], Any],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._settings, self._folders, self._epoch, self._clock = settings, folders, epoch, clock
        self._files = CountFiles(folders, epoch, Patience(clock, settings.windows_seconds), self._lose, say)
        self._owed, self._archive = OwedPoints(points, self._files.read), Archive.of(folders)
        self._counts = ArchiveCounts(settings, self._archive, epoch.folder / GIVEN_UP, say, clock)
        self._lock = threading.Lock()
        self._folders_of: dict[BatchRange, list[int]] = {}  # windows of each folder that counts
        self._unknown: set[BatchRange] = set()  # folders that do not say their windows now
        self._open: dict[int, OpenWindow] = {}
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
        late = self._files.known([start for start in since if start <= deleted])  # in files, perhaps not yet in points
        self._open = {start: OpenWindow(first, late.get(start), float("-inf")) for start, first in since.items()}

    def counted(self) -> int:
        """The last micro-batch whose events are all counted."""
        return self._noted

    def refresh(self) -> None:
        """Look at the archive's folders anew: at the start, and when some were put together or deleted."""
        with self._lock:
            known = dict(self._folders_of)
        found, unknown = self._counts.windows(self._archive.folders(marked(self._folders)), known)
        with self._lock:
            added = {part: windows for part, windows in self._folders_of.items() if part not in known}
            self._folders_of = found | added
        back, self._unknown = self._unknown & found.keys(), unknown
        self._begin_again(lambda part, start: part in back)

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
        known = self._files.known(new)
        for start in new:
            self._open[start] = OpenWindow(part.first, known.get(start), now)
        for start, figures_of in by_window.items():
            window = self._open[start]
            window.changed, window.shown = now, False
            window.recent = part.first if window.recent is None else window.recent
            add(window.sums, figures_of)

    def show(self) -> None:
        """Put what came into windows into files and points."""
        with self._lock:
            self._take_committed()
            fresh = {start: one for start, one in self._open.items() if not one.shown and one.base is not None}
            found = [row for start, window in fresh.items() for row in rows(start, window.total())]
            for window in fresh.values():
                window.shown = True
        try:
            with self._files.given():
                if fresh:
                    self._replace(table(found), {start: window.since for start, window in fresh.items()})
        except OSError:  # tried again
            for window in fresh.values():
                window.shown = False
            raise
        with self._files.given():
            self._owed.pay()

    def settle(self, *, everything: bool = False) -> None:
        """Count windows anew that are left alone, or all that are open.

        Those that the archive does not hold all events of any more keep what stood, and what came to it.

        Raises
        ------
        FileNotFoundError
            A folder is gone. What was begun is counted the next time, after `refresh`.
        """
        self.show()
        with self._files.given():
            self._settle(float("inf") if everything else self._clock() - ALONE * self._settings.windows_seconds)

    def _settle(self, before: float) -> None:
        deleted = self._archive.deleted_up_to()
        with self._lock:
            self._count_again(deleted)
            self._keep_what_stands([start for start in self._open if start <= deleted])
            alone = {start: one for start, one in self._open.items() if start > deleted and one.changed <= before}
            folders, stood = list(self._folders_of.items()), dict[int, OpenWindow]()
            for start, window in alone.items():  # what comes from here on is not in these folders
                stood[start] = replace(window)
                window.base, window.sums, window.recent = None, {}, None
        starts, waiting = sorted(alone), set[int]()
        for begin in range(0, len(starts), AT_ONCE):
            asked = {start: alone[start].since for start in starts[begin : begin + AT_ONCE]}
            counts, counted_now = self._counts.of(asked, folders)
            self._replace(counts, counted_now)
            waiting |= asked.keys() - counted_now.keys()
        with self._lock:
            for start in waiting:
                alone.pop(start).go_on(stood[start])
            standing = self._files.standing([start for start, window in alone.items() if window.recent is not None])
            for start, window in alone.items():
                if window.recent is None:
                    del self._open[start]
                else:
                    window.base, window.since, window.shown = standing[start], window.recent, False
            uncounted = [*(window.since for window in self._open.values()), *self._again.values()]
            uncounted += [part.first for part in (*self._late, *self._unknown)]
            counted = min(uncounted, default=self._newest + 1) - 1
        owed = self._owed.since()  # a window is counted once its points are there as well
        counted = counted if owed is None else min(counted, owed - 1)
        if counted != self._noted:
            note_counted(self._folders.windows, self._epoch.number, counted)
            self._noted = counted

    def _count_again(self, deleted: int) -> None:
        """Open what was lost, or counted too low, as far as the archive has all of it."""
        for start in [*self._again]:
            since = self._again.pop(start)
            if start > deleted:
                self._open.setdefault(start, OpenWindow(since, None, float("-inf")))

    def look(self) -> None:
        """Look at the files of counts, and at what is away in the archive."""
        self._files.look()
        back = self._counts.back()
        self._begin_again(lambda part, start: self._counts.has_one(part, back))
        self._counts.taken_back(back)

    def _lose(self, lost: str) -> None:
        self._begin_again(lambda part, start: day(start) == lost)

    def _begin_again(self, wanted: Callable[[BatchRange, int], bool]) -> None:
        """Count some of the archive's windows again; killed from here on, the next start counts them as well."""
        since: dict[int, int] = {}
        for part, windows in [*self._folders_of.items()]:
            for start in windows:
                if wanted(part, start):
                    since[start] = min(part.first, since.get(start, part.first))
        if since:
            self._noted = min([self._noted, *(first - 1 for first in since.values())])
            note_counted(self._folders.windows, self._epoch.number, self._noted)
            self._again |= since

    def _keep_what_stands(self, starts: list[int]) -> None:
        """Close windows whose events are not all in the archive any more; what came just now is shown first."""
        for start, stood in self._files.standing([start for start in starts if self._open[start].base is None]).items():
            self._open[start].base = stood
        for start in starts:
            if self._open[start].shown:
                del self._open[start]

    def _replace(self, counts: pa.Table, since: Mapping[int, int]) -> None:
        self._files.replace(counts, since)
        self._owed.write(counts, since)
