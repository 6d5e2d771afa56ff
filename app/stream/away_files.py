"""Files of the archive that the system does not give, though they are there: waited for, but not for ever."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.core.errors import is_away
from app.core.files import write_text

PATIENCE = 900.0  #: seconds that a file is waited for
GAP = 60.0  #: seconds without a try where one is due, after which a file was not away at every one
READ_AT_ONCE = 2**20  #: bytes


class AwayFiles:
    """Remembers since when a file or folder is away, and which were given up.

    Parameters
    ----------
    note
        File with the names of those given up.
    say
        Gets a line about one that is given up.
    clock
        Seconds, as `time.monotonic`.
    """

    def __init__(self, note: Path, say: Callable[[str], Any], clock: Callable[[], float]):
        self._note, self._say, self._clock = note, say, clock
        self._since: dict[Path, float] = {}
        self._given_up: set[Path] = set()
        with suppress(FileNotFoundError, ValueError):  # damaged: they are waited for anew
            self._given_up = {Path(name) for name in json.loads(note.read_text())}

    def met(self, error: OSError) -> bool:
        """Take note of what an error names; False if it is none of this kind, or names nothing new."""
        path = Path(error.filename) if error.filename else None
        if path is None or not is_away(error) or path in self._since or path in self._given_up:
            return False
        self._since[path] = self._clock()
        return True

    def waits(self, folder: Path) -> bool:
        """Whether something of a folder is waited for."""
        return any(_is_in(path, folder) for path in self._since)

    def given_up(self, path: Path) -> bool:
        """Whether a file or the folder that it is in is waited for no more."""
        return any(_is_in(path, other) for other in self._given_up)

    def try_again(self) -> list[Path]:
        """Look at all of them anew; returns those that were given up and are there again, or gone."""
        for path, since in [*self._since.items()]:
            error = _refusal(path)
            if error is None:
                del self._since[path]
            elif self._clock() - since >= PATIENCE:
                del self._since[path]
                self._keep(self._given_up | {path})
                why = os.strerror(error.errno) if error.errno else error
                self._say(
                    f"{path}: {why}, for {PATIENCE / 60:.0f} minutes now; windows are counted without it until it is "
                    "there again"
                )
        return [path for path in self._given_up if _refusal(path) is None]

    def take_back(self, paths: list[Path]) -> None:
        """These are given up no more."""
        self._keep(self._given_up.difference(paths))

    def _keep(self, given_up: set[Path]) -> None:
        if given_up != self._given_up:
            self._given_up = given_up
            write_text(self._note, json.dumps(sorted(map(str, given_up))))


class Patience:
    """Tells when a file was away at every try for long.

    Parameters
    ----------
    clock
        Seconds, as `time.monotonic`.
    between
        Seconds from one try to the next.
    """

    def __init__(self, clock: Callable[[], float], between: float):
        self._clock, self._gap = clock, between + GAP
        self._tries: dict[Path, tuple[float, float]] = {}  # the first and the last of them

    def now(self) -> float:
        """The time at which a try begins: one may take minutes to fail."""
        return self._clock()

    def ends(self, path: Path, begun: float) -> bool:
        """Note that a file is away, by a try that began so; whether that has lasted too long."""
        first, last = self._tries.get(path, (begun, begun))
        now = self._clock()
        self._tries[path] = first if begun - last <= self._gap else begun, now
        return now - self._tries[path][0] >= PATIENCE


def read_through(path: Path) -> None:
    """Read a file for nothing but what the system says of it.

    Raises
    ------
    OSError
        It does not give it; the error names the file.
    """
    try:
        with path.open("rb") as file:
            while file.read(READ_AT_ONCE):
                pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _refusal(path: Path) -> OSError | None:
    """What keeps a file, or a folder's names, from being read; None where it is gone."""
    try:
        if path.is_dir():
            os.listdir(path)
        else:
            read_through(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or path.parent == folder
