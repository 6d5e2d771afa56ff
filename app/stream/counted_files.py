"""Rows in files, looked at anew where something has changed, and all of them by and by."""

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

AGAIN = 64  #: files or folders that are opened at each audit though nothing has come or gone


class CountedFiles(Generic[Name]):
    """Rows in files, or in the files of folders.

    Parameters
    ----------
    rows
        Counts those of a file or folder.
    changed
        Says when it was last changed; raises FileNotFoundError if it is gone.
    """

    def __init__(self, rows: Callable[[Name], int], changed: Callable[[Name], float]):
        self._rows, self._changed = rows, changed
        self._known: dict[Name, tuple[float, int]] = {}  # when it was last changed; longest known first

    def look(self, names: Iterable[Name]) -> None:
        """Take note of what there is."""
        there = set(names)
        known = [(name, found) for name, found in self._known.items() if name in there]
        self._known = dict(islice(known, AGAIN, None))

    def of(self, name: Name) -> int:
        """Rows of a file or folder; none if it is gone."""
        try:
            changed = self._changed(name)
        except FileNotFoundError:  # just lost
            return 0
        known = self._known.get(name)
        if known is None or known[0] != changed:
            self._known.pop(name, None)
            known = self._known[name] = changed, self._rows(name)
        return known[1]
