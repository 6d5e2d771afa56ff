"""Rows in files, looked at anew where something has changed, and all of them by and by."""

import os
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
        self._unread: dict[Name, str] = {}  # what the system says of those that it does not give now
        self._known: dict[Name, tuple[float, int]] = {}  # when it was last changed; longest known first

    def look(self, names: Iterable[Name]) -> None:
        """Take note of what there is."""
        self._unread = {}
        there = set(names)
        known = [(name, found) for name, found in self._known.items() if name in there]
        self._known = dict(islice(known, AGAIN, None))

    def of(self, name: Name) -> int:
        """Rows of a file or folder; none if it is gone, or can't be read now, which `unread` tells."""
        try:
            changed = self._changed(name)
        except FileNotFoundError:  # just lost
            return 0
        except OSError as error:
            return self._away(name, error)
        known = self._known.get(name)
        if known is None or known[0] != changed:
            self._known.pop(name, None)
            try:
                known = self._known[name] = changed, self._rows(name)
            except FileNotFoundError:  # just replaced
                raise
            except OSError as error:
                return self._away(name, error)
        return known[1]

    def unread(self, names: Iterable[Name]) -> str | None:
        """What the system said of one of these that it did not give since the last `look`; None if it gave all."""
        return next((self._unread[name] for name in names if name in self._unread), None)

    def _away(self, name: Name, error: OSError) -> int:
        self._unread[name] = f"{name}: {os.strerror(error.errno) if error.errno else error}"  # Arrow's text is long
        return 0
