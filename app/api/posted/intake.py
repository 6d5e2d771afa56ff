"""Takes posted events in: each once, durable, delivered to the stream."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.api.posted.batches import AcceptedEvent, EventBatch
from app.api.posted.event_ids import EventIds
from app.api.posted.landed import LandedFiles
from app.api.posted.log import HOUR, EventLog, file_name
from app.core.settings import Settings
from app.events.layout import layout_of
from app.stream.folders import StreamFolders

DELIVERED = "DELIVERED"  #: number of the last batch that is known to have reached the landing folder


@dataclass(frozen=True)
class Taken:
    """What became of the events of one request: how many were new, and how many were known already."""

    accepted: int
    duplicates: int


def log_folder(settings: Settings) -> Path:
    """Where the log of posted events lies; all replicas share it."""
    return settings.output.absolute() / "api" / "events"


class Intake:
    """The one writer of this process; to be used by one thread, which may wait for others. Making it waits for nobody.

    A batch is appended to the log, then delivered, then answered. Of all batches only the newest can be without its
    file, since nobody appends another before: whoever holds the lock delivers it first. A file that is delivered twice
    has the same name, and the stream takes each name once.

    Parameters
    ----------
    settings
        Output, landing folder, layout, and how long ids are remembered.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time):
        self._hours, self._now = settings.remember_hours, now
        self._log = EventLog(log_folder(settings))
        self._files = LandedFiles(layout_of(settings), StreamFolders.of(settings).landing)
        self._ids = EventIds()
        self._log.start_at(self._remembered_from())
        self._follow()
        with self._log.alone_if_free() as free:  # whoever has the lock may stand still; `tidy` comes back to it
            if free:
                self._catch_up()

    @property
    def remembered(self) -> int:
        """How many ids of events are remembered."""
        return len(self._ids)

    def take(self, requests: Sequence[Sequence[AcceptedEvent]]) -> list[Taken]:
        """Make the new events of several requests durable and deliver them, all in one file.

        Raises
        ------
        OSError
            The disk fails; sent again, none is lost and none doubled.
        VitrineError
            The log is damaged.
        """
        with self._log.alone():
            self._catch_up()
            new: dict[str, AcceptedEvent] = {}
            answers = []
            for events in requests:
                before = len(new)
                for event in events:
                    if event.event_id not in new and event.event_id not in self._ids:
                        new[event.event_id] = event
                answers.append(Taken(len(new) - before, len(events) - (len(new) - before)))
            if new:
                self._commit(tuple(new.values()))
        return answers

    def tidy(self) -> None:
        """Deliver what another replica left undelivered when it was killed, and forget what need not be remembered."""
        before = self._remembered_from()
        with self._log.alone():
            self._catch_up()
            self._log.prune(before)
        self._ids.forget(file_name(before))

    def _remembered_from(self) -> float:
        return self._now() - self._hours * HOUR

    def _commit(self, events: tuple[AcceptedEvent, ...]) -> None:
        newest = self._log.newest
        batch = EventBatch(number=newest.number + 1 if newest else 1, at=self._now(), events=events)
        self._log.append(batch)
        self._learn(batch)
        self._deliver(batch)

    def _follow(self) -> None:
        for batch in self._log.follow():
            self._learn(batch)

    def _catch_up(self) -> None:
        self._follow()
        newest = self._log.newest
        if newest is not None and self._delivered() < newest.number:
            self._deliver(newest)

    def _learn(self, batch: EventBatch) -> None:
        name = file_name(batch.at)
        for event in batch.events:
            self._ids.add(event.event_id, name)

    def _deliver(self, batch: EventBatch) -> None:
        self._files.write(f"{self._log.identity}-{batch.number:012d}", batch.events)
        # Not flushed: an older number than the true one only leads to the same file once more.
        (self._log.folder / DELIVERED).write_text(str(batch.number))

    def _delivered(self) -> int:
        try:
            return int((self._log.folder / DELIVERED).read_text())
        except (FileNotFoundError, ValueError):
            return 0
