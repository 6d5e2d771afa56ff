"""Windows counted from the archive, as far as the system gives it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.core.errors import is_away
from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.stream.archive import Archive
from app.stream.away_files import AwayFiles
from app.stream.window_files import WINDOW_SCHEMA
from app.stream.windows import count_windows

SPILL = "spill"  #: folder of what exceeds the memory while windows are counted
Folders = list[tuple[BatchRange, list[int]]]  #: with the windows of each


class ArchiveCounts:
    """Counts windows, but for those of files that are waited for.

    Parameters
    ----------
    settings, archive
        Of the stream.
    note, say, clock
        Of `AwayFiles`.
    """

    def __init__(
        self,
        settings: Settings,
        archive: Archive,
        note: Path,
        say: Callable[[str], Any],
        clock: Callable[[], float],
    ):
        self._settings, self._archive, self._spill = settings, archive, note.with_name(SPILL)
        self._away = AwayFiles(note, say, clock)

    def windows(
        self, parts: list[BatchRange], known: Mapping[BatchRange, list[int]]
    ) -> tuple[dict[BatchRange, list[int]], set[BatchRange]]:
        """The windows of each folder, which may be known; and the folders that don't say now."""
        found, unknown = dict[BatchRange, list[int]](), set[BatchRange]()
        for part in parts:
            try:
                minutes = self._settings.window_minutes
                found[part] = known[part] if part in known else self._archive.windows(part, minutes)
            except OSError as error:
                if not is_away(error):
                    raise
                unknown.add(part)
        return found, unknown

    def of(self, since: Mapping[int, int], folders: Folders) -> tuple[pa.Table, dict[int, int]]:
        """Counts of windows, and which these are: those that need what is away have to wait.

        Parameters
        ----------
        since
            The windows, each with the first micro-batch that is not in its count.
        folders
            Of the archive.

        Raises
        ------
        OSError
            A folder is gone; or the system refuses a file for a reason that does not pass.
        """
        while True:
            away = [windows for part, windows in folders if self._away.waits(self._folder(part))]
            waiting = {start for windows in away for start in windows}
            now = {start: first for start, first in since.items() if start not in waiting}
            try:
                return self._count(now, folders), now
            except OSError as error:
                if not self._away.met(error):
                    raise

    def back(self) -> list[Path]:
        """Look at what is away; what was given up and is there again, until it is `taken_back`."""
        return self._away.try_again()

    def has_one(self, part: BatchRange, paths: list[Path]) -> bool:
        """Whether a folder is, or holds, one of these."""
        return any(self._folder(part) in (path, path.parent) for path in paths)

    def taken_back(self, paths: list[Path]) -> None:
        """What was given up is no more, once it is noted that its windows are to be counted again."""
        self._away.take_back(paths)

    def _count(self, since: Mapping[int, int], folders: Folders) -> pa.Table:
        files = [
            path
            for part, windows in folders
            if not since.keys().isdisjoint(windows) and not self._away.given_up(self._folder(part))
            for path in self._archive.files(part)
            if not self._away.given_up(path)
        ]
        if not files:
            return WINDOW_SCHEMA.empty_table()
        return count_windows(files, since, self._settings, self._spill)

    def _folder(self, part: BatchRange) -> Path:
        return self._archive.folder / part.name
