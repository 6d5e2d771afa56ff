"""The archive kept small: folders put together, old ones deleted, and marks and accounts with them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from app.core.errors import VitrineError, is_away
from app.core.lease import Lease, training_lease
from app.core.settings import Settings
from app.events.archive_names import BatchRange, Epochs
from app.events.forgotten import NOBODY, Forgotten
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.compaction import UNCOUNTED_KEPT, delete_old, delete_uncounted, due, put_together
from app.stream.cutting import Cutting
from app.stream.epoch import QUERY, Epoch, newest_number
from app.stream.rejected_folders import put_rejected_together, rejected_due

DAY, MINUTE = 86_400.0, 60.0


@dataclass
class Shrinking:
    """What is done to the archive once a minute; not while a training of the same output runs.

    Parameters
    ----------
    settings, archive, accounts, epoch, lease
        Of the stream.
    counted
        The last micro-batch whose events are in window counts.
    stopping
        Asked before what takes long.
    say
        Gets a line about what can't be done.
    cutting
        Cuts forgotten users out of what stays.
    """

    settings: Settings
    archive: Archive
    accounts: Accounts
    epoch: Epoch
    lease: Lease
    counted: Callable[[], int]
    stopping: Callable[[], bool]
    say: Callable[[str], Any]
    cutting: Cutting
    _seconds: dict[BatchRange, tuple[float, float]] = field(default_factory=dict)
    _refused: set[BatchRange] = field(default_factory=set)
    _away: set[BatchRange] = field(default_factory=set)

    def run(self, epochs: Epochs, forgotten: Forgotten = NOBODY) -> None:
        """Delete what is old or does not count, put together what can be, and shorten the accounts.

        Rows of forgotten users are in nothing that is put together, and are cut out of all else.

        Raises
        ------
        VitrineError
            This stream was replaced: nothing is deleted.
        """
        now = time.time()
        if not self._may_delete():
            return
        self._away.clear()
        delete_uncounted(self.archive, epochs, now - UNCOUNTED_KEPT)
        if self.settings.archive_days is not None:
            before = now - self.settings.archive_days * DAY
            delete_old(self.archive, epochs, before, self.counted(), self.accounts.forget)
        before, committed = now - self.settings.archive_single_minutes * MINUTE, self._committed()
        while self._may_delete() and self._put_next_together(epochs, before, committed, forgotten):
            pass
        self._put_rejected_together(epochs)
        self.cutting.run(epochs, committed, forgotten, self._may_delete)
        self.accounts.fold(self.archive.newest(epochs))  # last, when there are the fewest folders

    def _may_delete(self) -> bool:
        self.lease.check()
        return not (self.stopping() or training_lease(self.settings.output).seems_held())

    def _committed(self) -> int:
        """The last micro-batch that will not be done again."""
        return newest_number(self.epoch.folder / QUERY / "commits")

    def _put_next_together(self, epochs: Epochs, before: float, committed: int, forgotten: Forgotten) -> bool:
        """Whether there was a range to be put together."""
        there = self.archive.folders(epochs)
        self._seconds = {part: self._seconds[part] for part in there if part in self._seconds}
        folders = [*takewhile(lambda part: self._span(part)[1] < before, there)]  # no range lacks one amid it
        for target, parts in due(folders, epochs, committed, self._length):
            if target in self._refused | self._away or not self.accounts.agree(target):
                continue  # what is missing may be put back, as the folder that it was
            with self._trying(target):
                put_together(self.archive, target, parts, self.lease.check, forgotten)
                return True
        return False

    def _put_rejected_together(self, epochs: Epochs) -> None:
        for target, parts in rejected_due(self.archive, epochs):
            if not self._may_delete():
                return
            if target not in self._refused | self._away and self.accounts.agree_of_rejected(target):
                with self._trying(target):
                    put_rejected_together(self.archive, target, parts, self.lease.check)

    @contextmanager
    def _trying(self, target: BatchRange) -> Iterator[None]:
        """Leave alone what can't be put together, for now or for good."""
        try:
            yield
        except VitrineError as error:  # a folder that does not hold what it must: told by the accounts too
            self.lease.check()
            self._refused.add(target)
            self.say(str(error))
        except OSError as error:  # told by the accounts as well; tried again in a minute
            if not is_away(error):
                raise
            self._away.add(target)

    def _length(self, parts: list[BatchRange]) -> float:
        """Seconds from the first archived event of some folders to the last."""
        (begun, _), (_, ended) = self._span(parts[0]), self._span(parts[-1])
        return ended - begun

    def _span(self, part: BatchRange) -> tuple[float, float]:
        if part not in self._seconds:
            try:
                manifest = self.archive.manifest(part)
                self._seconds[part] = manifest.oldest, manifest.written
            except VitrineError:  # putting it together tells what is the matter
                self._seconds[part] = (self.archive.made(part),) * 2
            except OSError as error:
                if not is_away(error):
                    raise
                return (self.archive.made(part),) * 2
        return self._seconds[part]
