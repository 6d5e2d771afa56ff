"""Landed files: those that came again are told of, and those that are done with deleted."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.core.lease import Lease
from app.stream.folders import POSTED
from app.stream.source_log import NewlyConsumed, taken_in


class LandedFiles:
    """Looks at files that the log of the source names, and no others: a time says little of what was read.

    Spark takes each name once. A file that comes again under its name is passed over, without a word; it is known by
    the time at which it was modified, which the log has as well. One of the API is the same as before.

    Parameters
    ----------
    landing
        The landing folder.
    checkpoint
        Of the query.
    lease
        Of the stream: one that was replaced deletes nothing.
    told
        Gets a line about files that came again.
    """

    def __init__(self, landing: Path, checkpoint: Path, lease: Lease, told: Callable[[str], Any]):
        self._landing, self._checkpoint, self._lease, self._told = landing, checkpoint, lease, told
        self._consumed = NewlyConsumed(checkpoint)
        self._taken_in: dict[str, int] = {}  # by name, when the file was modified that was read
        self._again: dict[str, int] = {}  # likewise, of the files that were told of
        self._done: dict[str, int] = {}

    def look(self) -> dict[str, int]:
        """Tell of files that came again, each time once.

        Returns
        -------
        dict
            Names of those that are done with, and when they were modified, in milliseconds since 1970.
        """
        self._taken_in |= self._consumed.next()
        there = self._there()
        if self._others(there).items() - self._again.items():
            self._taken_in = taken_in(self._checkpoint)  # the source forgets names, and reads what comes under them
            there = self._there()
        again = self._others(there)
        if new := sorted(name for name, _ in again.items() - self._again.items()):
            some = new[0] if len(new) == 1 else f"{new[0]} and {len(new) - 1} more"
            self._told(
                f"{self._landing}: {some} came again under a name that was read before: passed over, and not deleted; "
                "give it a new name to be read"
            )
        self._again = again
        return {name: modified for name, modified in there.items() if name not in again}

    def clean(self) -> None:
        """Delete what was done with at the last call, too.

        Raises
        ------
        VitrineError
            This stream was replaced. All that is deleted was committed before it could be: its successor goes on
            from a checkpoint that has these files.
        """
        self._lease.check()
        done = self.look()
        for name in done.keys() & self._done.keys():
            path = self._landing / name
            with suppress(FileNotFoundError):
                if _modified(path.stat()) == done[name]:  # still: it may have come again just now
                    path.unlink(missing_ok=True)
        self._done = done

    def _there(self) -> dict[str, int]:
        """Files that are there under names that were taken in."""
        found = {}
        for entry in os.scandir(self._landing):
            if entry.name in self._taken_in:
                with suppress(FileNotFoundError):
                    found[entry.name] = _modified(entry.stat())
        return found

    def _others(self, there: dict[str, int]) -> dict[str, int]:
        """Those that are not what was read under their names."""
        return {
            name: modified
            for name, modified in there.items()
            if modified != self._taken_in[name] and not name.startswith(POSTED)
        }


def _modified(status: os.stat_result) -> int:
    """As the log of the source has it."""
    return status.st_mtime_ns // 1_000_000
