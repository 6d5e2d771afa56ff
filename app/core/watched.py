"""A folder to which any number of processes add small files: looked through again when something may have come."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

SETTLED = 2_000_000_000  #: nanoseconds after which a folder's time tells that nothing has come since
MISSING = -1

Found = TypeVar("Found")


class WatchedFolder(Generic[Found]):
    """What a folder holds, which need not exist; for any thread, if `look` is.

    Parameters
    ----------
    path
        Of the folder.
    look
        What to make of the names in it.
    """

    def __init__(self, path: Path, look: Callable[[list[str]], Found]):
        self.path, self._look = path, look
        self._latest: tuple[int, Found] | None = None  # when the folder was changed, and what it held then

    def read(self) -> Found:
        """What it holds now; `look` is asked when its names may have changed."""
        try:
            stamp = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            stamp = MISSING
        latest, settled = self._latest, stamp == MISSING or time.time_ns() - stamp >= SETTLED
        if latest is None or stamp != latest[0] or not settled:
            latest = self._latest = stamp, self._look([] if stamp == MISSING else os.listdir(self.path))
        return latest[1]
