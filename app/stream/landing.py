"""Landed files deleted once they are done with."""

import os
from pathlib import Path

from app.core.lease import Lease
from app.stream.source_log import NewlyConsumed, path_of


class LandedFiles:
    """Deletes files that the log of the source names, and no others: a time says little of what was read.

    Parameters
    ----------
    landing
        The landing folder.
    checkpoint
        Of the query.
    lease
        Of the stream: one that was replaced deletes nothing.
    """

    def __init__(self, landing: Path, checkpoint: Path, lease: Lease):
        self._landing, self._lease = landing, lease
        self._consumed = NewlyConsumed(checkpoint)
        self._done: list[Path] = []

    def clean(self) -> None:
        """Delete what was committed before the last call.

        Raises
        ------
        VitrineError
            This stream was replaced. All that is deleted was committed before it could be: its successor goes on
            from a checkpoint that has these files.
        """
        self._lease.check()
        for path in self._done:
            path.unlink(missing_ok=True)
        there = {entry.name for entry in os.scandir(self._landing)}
        consumed = map(path_of, self._consumed.next())
        self._done = [path for path in consumed if path.name in there]
