"""Files of counts as the counting has them: one that is gone, damaged or away for long is told, and made again."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.core.errors import is_away
from app.stream.away_files import PATIENCE, Patience
from app.stream.epoch import Epoch, marked
from app.stream.folders import StreamFolders
from app.stream.window_days import WindowDays
from app.stream.window_files import day, day_file, read_whole, read_windows, replace_windows
from app.stream.window_sums import Sums, sums_of

COUNTED_AGAIN = "its windows are counted again from the archive, as far as that goes back"


class CountFiles:
    """Reads and replaces the counts of windows.

    Parameters
    ----------
    folders, epoch
        Of the stream.
    patience
        With a file that is away.
    lose
        Has the windows of a day counted again, whose file is lost.
    say
        Gets a line about it.
    """

    def __init__(
        self,
        folders: StreamFolders,
        epoch: Epoch,
        patience: Patience,
        lose: Callable[[str], Any],
        say: Callable[[str], Any],
    ):
        self._folders, self._epoch, self._patience, self._lose, self._say = folders, epoch, patience, lose, say
        self._days = WindowDays(folders.windows, epoch)

    @contextmanager
    def given(self) -> Iterator[None]:
        """Set a file aside that the system does not give for long, whenever it is asked for."""
        begun = self._patience.now()
        try:
            yield
        except OSError as error:
            path = Path(error.filename or "")
            if is_away(error) and path.parent == self._folders.windows and self._patience.ends(path, begun):
                self._set_aside(path, f"{error.strerror}, for {PATIENCE / 60:.0f} minutes now")
            raise

    def read(self, starts: list[int]) -> pa.Table:
        """What the files say of windows, as rows."""
        wanted = pa.array(starts, pa.timestamp("us", tz="UTC"))
        return read_windows(self._folders.windows, marked(self._folders), wanted, self._set_aside)

    def standing(self, starts: list[int]) -> dict[int, Sums]:
        """What the files say of windows."""
        return sums_of(self.read(starts), starts) if starts else {}

    def known(self, starts: list[int]) -> dict[int, Sums]:
        """The same, or nothing where it can't be read now: such a window is counted anew before it is shown."""
        try:
            return self.standing(starts)
        except OSError as error:
            if not is_away(error):
                raise
            return {}

    def replace(self, counts: pa.Table, starts: Collection[int]) -> None:
        """Put counts in place of all that stood for these windows."""
        self._miss()  # or what is written now would hide that the rest of its day is lost
        replace_windows(counts, starts, self._folders.windows, self._epoch.number, self._set_aside)
        self._days.written({day(start) for start in starts})

    def look(self) -> None:
        """Miss files that are gone, and read one through."""
        self._miss()
        if (turn := self._days.next()) is not None:
            read_whole(turn, self._set_aside)

    def _miss(self) -> None:
        for lost in self._days.gone():
            self._forget(lost)
            self._say(f"{day_file(self._folders.windows, lost, self._epoch.number)}: is gone; {COUNTED_AGAIN}")

    def _set_aside(self, path: Path, why: str) -> None:
        """Move a day's damaged file out of the way."""
        target = self._folders.damaged / f"windows-{path.name}"
        self._forget(path.name[: len("2019-10-01")])
        with suppress(FileNotFoundError):  # moved just now, by the other thread
            path.replace(target)
        self._say(f"{path}: is damaged ({why}); moved to {target}, {COUNTED_AGAIN}")

    def _forget(self, lost: str) -> None:
        self._lose(lost)
        self._days.forget(lost)
