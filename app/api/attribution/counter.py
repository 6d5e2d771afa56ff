"""Counts what lists led to: places shown, clicked, carted, bought, by source, kind of reason and variant.

One replica counts for all, from two logs: that of answered lists, and that of posted events, which holds each accepted
event once, whatever clients repeat and whoever is killed. The stream could not tell: its archive has the recommendation
id only where the layout names it, and holds what comes to it twice as often as it came.
"""

import fcntl
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.api.attribution.answered import HOUR, Answered, Because, Lines, find, follow, prune
from app.api.attribution.counts import Counts, Key, Kind, Outcome, Step
from app.api.posted.batches import AcceptedEvent, EventBatch
from app.api.posted.intake import log_folder
from app.api.posted.log import EventLog
from app.core.settings import Settings
from app.events.ids import number_of
from app.events.layout import layout_of
from app.events.vocabulary import EventType

SETTLED_SECONDS = 5.0  #: an event waits so long for its list to be written down
MOST_BYTES, MOST_BATCHES = 4_000_000, 1_000  #: read in one step
LOCK = ".lock"
WHOLE = 0  #: the place that stands for the list as a whole
KINDS: dict[EventType, Kind] = {"view": "clicked", "cart": "carted", "purchase": "bought"}


@dataclass(frozen=True)
class Folders:
    """Where lists are written down, and counts are kept."""

    lists: Path
    counts: Path

    @classmethod
    def of(cls, settings: Settings) -> "Folders":
        api = settings.output.absolute() / "api"
        return cls(api / "lists", api / "counts")


@dataclass
class Counted:
    """What one step counted: lists; events by type and outcome; and by variant, source and kind of reason the places
    that something came of for the first time."""

    lists: int = 0
    events: Tally[tuple[EventType, Outcome]] = field(default_factory=Tally)
    places: Tally[tuple[Kind, str, str, str]] = field(default_factory=Tally)


@dataclass
class Counting:
    """A step under way.

    Attributes
    ----------
    reached
        How far was read, by name of what is read.
    unread
        Portions of answered lists.
    """

    reached: dict[str, int]
    unread: tuple[Lines, ...]
    step: Step = field(default_factory=Step)
    counted: Counted = field(default_factory=Counted)
    batches: int = 0  #: of posted events, once it is finished

    @property
    def is_full(self) -> bool:
        """Whether there may be more to read at once."""
        return self.batches == MOST_BATCHES or sum(lines.end - lines.start for lines in self.unread) >= MOST_BYTES


class Counter:
    """Counts for all replicas while it holds the lock; to be used by one thread at a time.

    Parameters
    ----------
    settings
        Output, layout, `attribution_hours`, `window_minutes`.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]):
        self._settings, self._now = settings, now
        self._text_ids = layout_of(settings).ids == "text"
        self._span = settings.window_minutes * 60
        self._folders = Folders.of(settings)
        self._lock: IO[str] | None = None
        self._waiting: deque[EventBatch] = deque()
        self._log: EventLog | None = None
        self.counts: Counts | None = None

    def begin(self) -> bool:
        """Whether this is the process that counts, from now on or already."""
        if self._lock is None:
            self._folders.counts.mkdir(parents=True, exist_ok=True)
            lock = (self._folders.counts / LOCK).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            self._lock = lock
        if self.counts is None:
            self.counts = Counts(self._folders.counts)
            self._log = EventLog(log_folder(self._settings))
            self._log.start_at(self.counts.reached().get(self._until(), self._oldest()))
            self._waiting.clear()
        return True

    def unread(self) -> Counting:
        """What there is to count now, some thousand lists and events at most; after `begin`.

        Raises
        ------
        OSError, VitrineError
            Something can't be read; the same is counted again next time.
        """
        assert self.counts is not None
        assert self._log is not None
        reached = self.counts.reached()
        self._waiting += self._log.follow()
        return Counting(reached, tuple(follow(self._folders.lists, reached, MOST_BYTES)))

    def show(self, lines: Lines, counting: Counting) -> None:
        """Count places shown, of one of the portions that are unread."""
        for answered in lines.lists():
            self._shown(answered, counting.step)
            counting.counted.lists += 1
        counting.reached[lines.name] = lines.end

    def finish(self, counting: Counting) -> Counted:
        """Count events, and keep the step, whole or not at all.

        Raises
        ------
        OSError, VitrineError
            Something can't be read or written; the same is counted again next time.
        """
        assert self.counts is not None
        assert self._log is not None
        step, counted, reached = counting.step, counting.counted, counting.reached
        batches = self._settled(reached.get(self._log.identity, 0))
        counting.batches = len(batches)
        for batch in batches:
            for event in batch.events:
                if event.recommendation_id is not None:
                    counted.events[event.event_type, self._event(event, batch.at, step, counted)] += 1
            reached |= {self._log.identity: batch.number, self._until(): int(batch.at)}
        if counted.lists or batches:
            self.counts.take(step, reached)
        for _ in batches:
            self._waiting.popleft()
        return counted

    def prune(self) -> None:
        """Delete lists that are too old for an event to be attributed to, and old counts."""
        assert self.counts is not None
        self.counts.prune(self._now(), self._oldest(), prune(self._folders.lists, self._oldest()))

    def close(self) -> None:
        """Leave the counting to another replica."""
        if self.counts is not None:
            self.counts.close()
            self.counts = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _oldest(self) -> float:
        """When a list was answered, at the earliest, that an event of now is attributed to."""
        return self._now() - self._settings.attribution_hours * HOUR

    def _until(self) -> str:
        """The name under which it stands when the last event that was counted was posted."""
        assert self._log is not None
        return f"{self._log.identity} until"

    def _settled(self, counted: int) -> list[EventBatch]:
        while self._waiting and self._waiting[0].number <= counted:
            self._waiting.popleft()
        latest = self._now() - SETTLED_SECONDS
        found: list[EventBatch] = []
        for batch in self._waiting:
            if batch.at > latest or len(found) == MOST_BATCHES:
                break
            found.append(batch)
        return found

    def _shown(self, answered: Answered, step: Step) -> None:
        of_list = self._key(answered)
        step.add("lists", of_list, "answered")
        for number, because in enumerate(answered.causes):
            step.add("places", _of_place(of_list, because), "shown", answered.because.count(number))

    def _event(self, event: AcceptedEvent, at: float, step: Step, counted: Counted) -> Outcome:
        """Count an event, posted at a moment, with the list that it names."""
        assert event.recommendation_id is not None
        answered = find(self._folders.lists, event.recommendation_id)
        outcome: Outcome = "unknown_list"
        if answered is not None and at - answered.at <= self._settings.attribution_hours * HOUR:
            place = self._place(event, answered)
            outcome = "not_in_list" if place is None else "attributed"
            if place is not None:
                self._attribute(event, answered, place, step, counted)
        step.add("events", (self._window(at), event.event_type, outcome), "events")
        return outcome

    def _attribute(self, event: AcceptedEvent, answered: Answered, place: int, step: Step, counted: Counted) -> None:
        kind = KINDS.get(event.event_type)
        if kind is None:
            return
        because = answered.causes[answered.because[place]]
        of_list = self._key(answered)
        of_place = _of_place(of_list, because)
        for table, key, number in (("places", of_place, place + 1), ("lists", of_list, WHOLE)):
            mark = (str(event.recommendation_id), number, kind)
            if mark not in step.touched and not self._is_touched(mark):
                step.touched[mark] = answered.at
                step.add(table, key, kind)
                if number != WHOLE:
                    counted.places[kind, answered.variant, because.source, because.reason] += 1
            if kind == "bought" and event.price is not None:
                step.add(table, key, "revenue", event.price * (1 if event.quantity is None else event.quantity))

    def _is_touched(self, mark: tuple[str, int, Kind]) -> bool:
        assert self.counts is not None
        return self.counts.is_touched(*mark)

    def _place(self, event: AcceptedEvent, answered: Answered) -> int | None:
        product = number_of(event.product_id, self._text_ids)
        numbers = [number_of(shown, self._text_ids) for shown in answered.products]
        return numbers.index(product) if product in numbers else None

    def _key(self, answered: Answered) -> Key:
        return (self._window(answered.at), answered.experiment, answered.variant, answered.model_version)

    def _window(self, moment: float) -> int:
        return int(moment // self._span) * self._span


def _of_place(of_list: Key, because: Because) -> Key:
    """The key of a place in a list of this key."""
    return (*of_list, because.source, because.reason)
