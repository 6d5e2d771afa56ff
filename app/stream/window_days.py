"""Which days there must be a file of counts of: one that is lost is missed, though nobody asks for its windows."""

from collections.abc import Iterable
from pathlib import Path

from app.core.files import write_text
from app.stream.epoch import Epoch
from app.stream.window_files import window_days

KNOWN = "window-days"  #: in an epoch's folder, with a copy of which the next epoch begins


class WindowDays:
    """Remembers the days that an epoch has files of, and those of the epochs before it.

    Parameters
    ----------
    windows
        Folder of the files.
    epoch
        Whose they are.
    """

    def __init__(self, windows: Path, epoch: Epoch):
        self._windows, self._epoch, self._note = windows, epoch.number, epoch.folder / KNOWN
        noted = self._note.read_text().split() if self._note.exists() else []
        self._known = frozenset(noted).union(window_days(windows, epoch.number))
        self._turn = ""

    def written(self, days: Iterable[str]) -> None:
        """Files of these days are there from now on."""
        self._keep(self._known.union(days))

    def forget(self, day: str) -> None:
        """Miss the file of a day no more."""
        self._keep(self._known.difference([day]))

    def gone(self) -> list[str]:
        """Days whose files are not there."""
        return sorted(self._known.difference(window_days(self._windows, self._epoch)))

    def next(self) -> Path | None:
        """One of the files, each in its turn; None if there is none."""
        files = window_days(self._windows, self._epoch)
        self._turn = min((day for day in files if day > self._turn), default=min(files, default=""))
        return files.get(self._turn)

    def _keep(self, days: frozenset[str]) -> None:
        if days != self._known:
            self._known = days
            write_text(self._note, "\n".join(sorted(days)))
