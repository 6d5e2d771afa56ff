"""The log of posted events: what makes them durable, and what all replicas follow.

A folder with a file for each hour. A batch of events is one line, appended under a lock that the kernel frees when its
holder dies, and flushed to the disk: then it is accepted. A line without its end was never accepted; the next writer
cuts it off. The newest file alone grows: a reader that has seen a later one has all of those before it.
"""

import os
import re
import secrets
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from app.api.posted.batches import EventBatch
from app.core.errors import InputError, VitrineError
from app.core.files import sync, write_first
from app.core.locks import locked, locked_if_free

NAME = re.compile(r"\d{10}\.jsonl")
LOCK, IDENTITY = ".lock", "ID"
HOUR = 3600.0


class EventLog:
    """A reader of the log, and a writer within `alone`; each thread needs one of its own.

    Parameters
    ----------
    folder
        Made if missing.

    Attributes
    ----------
    newest
        The last batch that was read or written; None before the first.

    Raises
    ------
    InputError
        The folder can't be written to.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.newest: EventBatch | None = None
        self._name, self._offset = "", 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / LOCK).touch()
            identity = folder / IDENTITY
            write_first(identity, secrets.token_hex(4))  # without the lock: who has it may stand still
            self.identity = identity.read_text()  #: tells files of this log from those of one that was deleted
        except OSError as error:
            raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None

    def alone(self) -> AbstractContextManager[None]:
        """Keeps all other writers out, of any process; waits for the one who writes."""
        return locked(self.folder / LOCK)

    def alone_if_free(self) -> AbstractContextManager[bool]:
        """The same without waiting; whether nobody else writes."""
        return locked_if_free(self.folder / LOCK)

    def follow(self) -> list[EventBatch]:
        """Batches that were accepted since the last call; at first all that are kept.

        Raises
        ------
        VitrineError
            The log is damaged.
        """
        found: list[EventBatch] = []
        for name in self._names():
            if name >= self._name:
                found += self._read(name)
        if found:
            self.newest = found[-1]
        return found

    def append(self, batch: EventBatch) -> None:
        """Add a batch and flush it to the disk; within `alone`, after `follow`."""
        name = max(self._name, file_name(batch.at))
        path = self.folder / name
        created = not path.exists()
        with path.open("ab") as file:
            end = self._offset if name == self._name else 0
            file.truncate(end)  # what a killed writer left of a line
            line = batch.line()
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if created:
            sync(self.folder)
        self._name, self._offset, self.newest = name, end + len(line), batch

    def prune(self, before: float) -> None:
        """Delete files whose events were all accepted before a moment, but never the newest; within `alone`."""
        for name in self._names()[:-1]:
            if name < file_name(before):
                (self.folder / name).unlink(missing_ok=True)

    def start_at(self, moment: float) -> None:
        """Pass over files whose events were all accepted before a moment, but never the newest."""
        names = self._names()
        if names:
            self._name = min(max(names[0], file_name(moment)), names[-1])

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if NAME.fullmatch(name))

    def _read(self, name: str) -> list[EventBatch]:
        start = self._offset if name == self._name else 0
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            batches = [EventBatch.of_line(line) for line in whole.splitlines()]
        except ValidationError:
            raise VitrineError(
                f"{self.folder / name}: is damaged after byte {start}; move it away: its events are in the landing "
                "folder or the archive, but those sent again would be taken for new ones"
            ) from None
        self._name, self._offset = name, start + len(whole)
        return batches


def file_name(moment: float) -> str:
    """Name of the file of an hour, so that names sort as hours do."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y%m%d%H}.jsonl"
