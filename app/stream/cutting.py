"""Forgotten users cut out of the archive, folder by folder: one without their rows takes the place of each.

A folder is not edited, since somebody may just be reading it. What has lost its place stays for some hours, as what was
put together does, and until then the marker does not pass the forgetting.
"""

import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from app.core.errors import VitrineError, is_away
from app.events.archive_names import BatchRange, Epochs
from app.events.forgotten import Forgotten
from app.stream.archive import Archive, damage_told
from app.stream.compaction import put_together
from app.stream.epoch import Epoch
from app.stream.folders import StreamFolders
from app.stream.forgetting import (
    MICROS,
    SECONDS_AT_ONCE,
    SETTLED_SECONDS,
    of_forgotten,
    read_marker,
    settled,
    write_marker,
)


class Cutting:
    """Looks through the archive for forgotten users, once for all forgettings that there are.

    Parameters
    ----------
    folders, archive, epoch
        Of the stream.
    check
        Raises if this stream was replaced.
    say
        Gets a line about a folder that they can't be cut out of.
    """

    def __init__(
        self,
        folders: StreamFolders,
        archive: Archive,
        epoch: Epoch,
        check: Callable[[], Any],
        say: Callable[[str], Any],
    ):
        self._folders, self._archive, self._epoch, self._check, self._say = folders, archive, epoch, check, say
        self._latest = 0
        self._looked: dict[BatchRange, int] = {}  # the latest forgetting when a folder was last looked at
        self._done: dict[BatchRange, int] = {}  # the forgettings up to which nothing is left in it
        self._begun: dict[BatchRange, float] = {}

    def run(self, epochs: Epochs, committed: int, forgotten: Forgotten, may_go_on: Callable[[], bool]) -> None:
        """Go on for some seconds, and mark what is done.

        Parameters
        ----------
        epochs
            That have begun.
        committed
            The last micro-batch that will not be done again.
        forgotten
            The list as it is now.
        may_go_on
            Asked before each folder.
        """
        forgotten, before = settled(forgotten), read_marker(self._folders).archive
        if forgotten.latest <= before:
            return
        self._latest = forgotten.latest
        until, counting = time.monotonic() + SECONDS_AT_ONCE, {*self._archive.folders(epochs)}
        # Those that count first, and those of long ago, or new forgettings would keep it from some.
        for part in sorted(self._all(), key=lambda part: (part not in counting, self._looked.get(part, 0))):
            if time.monotonic() > until or not may_go_on():
                break
            if self._looked.get(part) != self._latest and part.last <= committed:
                self._look(part, forgotten, cut=part in counting, before=before)
        done = min((self._done.get(part, before) for part in self._all() if self._is_old(part)), default=self._latest)
        write_marker(self._folders, archive=max(before, done))

    def _look(self, part: BatchRange, forgotten: Forgotten, *, cut: bool, before: int) -> None:
        self._looked[part], self._done[part] = self._latest, before
        try:
            oldest = self._oldest(part, forgotten) if self._is_old(part) else None
            if oldest is not None and cut:
                target = part.after_cut(self._epoch.number)
                put_together(self._archive, target, [part], self._check, forgotten)
                self._looked[target] = self._done[target] = self._latest
        except VitrineError as error:  # damaged: told by the accounts too, and looked at again with the next forgetting
            self._check()
            self._say(f"forgotten users stay where they are: {error}")
        except OSError as error:
            if not is_away(error):
                raise
            del self._looked[part]  # looked at again next time
        else:
            self._done[part] = self._latest if oldest is None else oldest - 1

    def _oldest(self, part: BatchRange, forgotten: Forgotten) -> int | None:
        """The moment of the earliest forgetting of which there are rows in a folder."""
        found: set[int] = set()
        for path in self._archive.files(part):
            with damage_told(path), pq.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=["user_id", "event_time"]):
                    theirs = batch.filter(of_forgotten(batch, forgotten))["user_id"].unique().to_pylist()
                    found.update(forgotten.among(theirs).values())
        return min(found, default=None)

    def _all(self) -> list[BatchRange]:
        """All folders, whether they count or not."""
        found = (BatchRange.parse(path.name) for path in self._archive.folder.iterdir())
        there = [part for part in found if part is not None]
        self._begun = {part: self._begun.get(part) or self._archive.begun(part) for part in there}
        self._looked = {part: self._looked[part] for part in there if part in self._looked}
        self._done = {part: self._done[part] for part in there if part in self._done}
        return there

    def _is_old(self, part: BatchRange) -> bool:
        """Whether a folder was begun when something from before the latest forgetting could still be under way."""
        return self._begun[part] <= self._latest / MICROS + SETTLED_SECONDS
