"""Keeps the counts of windows up to date, beside the micro-batches."""

import threading
from collections.abc import Iterable
from itertools import groupby

from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.stream.archive import Archive
from app.stream.epoch import Epoch, marked
from app.stream.folders import StreamFolders
from app.stream.points import PointSink
from app.stream.window_files import counted_up_to, note_counted, replace_windows, window_lines
from app.stream.windows import count_windows

DAY = 86_400_000_000  #: microseconds


class WindowCounter:
    """Counts again the windows that events came into.

    Thread-safe: micro-batches add, one thread counts.

    Parameters
    ----------
    spark, settings, folders, epoch
        Of the stream.
    points
        Where counts go beside the files.
    """

    def __init__(
        self, spark: SparkSession, settings: Settings, folders: StreamFolders, epoch: Epoch, points: PointSink
    ):
        self._spark, self._settings, self._folders, self._epoch = spark, settings, folders, epoch
        self._points = points
        self._archive = Archive(folders.archive, folders.rejected)
        self._lock = threading.Lock()
        self._windows: dict[BatchRange, list[int]] = {}  # of each folder that counts
        self._changed: set[int] = set()
        self._newest = counted_up_to(folders.windows, epoch.number)
        self.refresh()

    def refresh(self) -> None:
        """Look at the archive's folders anew: at the start, and when some were put together or deleted."""
        with self._lock:
            known, counted = self._windows, self._newest
        found = {
            part: known[part] if part in known else self._archive.windows(part, self._settings.window_minutes)
            for part in self._archive.folders(marked(self._folders))
        }
        with self._lock:
            self._windows = found | {part: windows for part, windows in self._windows.items() if part.last > counted}
            for part, windows in found.items():
                if part.last > counted:
                    self._changed.update(windows)
                    self._newest = max(self._newest, part.last)

    def archived(self, part: BatchRange, windows: list[int]) -> None:
        """Take note of a micro-batch that is in the archive."""
        with self._lock:
            if windows:
                self._windows[part] = windows
                self._changed.update(windows)
            self._newest = part.last

    def count(self) -> bool:
        """Count the windows that have changed, day by day; returns whether there were any."""
        with self._lock:
            changed, self._changed = sorted(self._changed), set()
            newest, folders = self._newest, list(self._windows.items())
        if not changed:
            return False
        for _, day in groupby(changed, key=lambda start: start // DAY):
            self._count(set(day), folders)
        note_counted(self._folders.windows, self._epoch.number, newest)
        return True

    def _count(self, starts: set[int], folders: Iterable[tuple[BatchRange, list[int]]]) -> None:
        files = [
            path for part, windows in folders if not starts.isdisjoint(windows) for path in self._archive.files(part)
        ]
        counts = count_windows(self._spark, files, starts, self._settings)
        replace_windows(counts, starts, self._folders.windows, self._epoch.number)
        self._points.write(window_lines(counts))
