"""Rows in files, looked at anew where something has changed, and all of them by and by."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

AGAIN = 64  #: files or folders that are opened at each audit though nothing has come or gone


class CountedFiles:
    """Rows in files, or in the files of folders.

    Parameters
    ----------
    rows
        Counts those of a file or folder.
    """

    def __init__(self, rows: Callable[[Path], int]):
        self._rows = rows
        self._known: dict[Path, tuple[float, int]] = {}  # when it was last changed; longest known first

    def look(self, paths: Iterable[Path]) -> None:
        """Take note of what there is."""
        there = set(paths)
        known = [(path, found) for path, found in self._known.items() if path in there]
        self._known = dict(islice(known, AGAIN, None))

    def of(self, path: Path) -> int:
        """Rows of a file or folder; none if it is gone."""
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:  # just lost
            return 0
        known = self._known.get(path)
        if known is None or known[0] != changed:
            self._known.pop(path, None)
            known = self._known[path] = changed, self._rows(path)
        return known[1]
