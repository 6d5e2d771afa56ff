"""What is asked, little enough at a time that others get their turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.api.models import Ask
from app.api.posted.checks import FIRST_MOMENT
from app.api.problems import RefusedError
from app.api.variants import Variants

LEAST = 10  #: places of which a list weighs as much as one of fewer


@dataclass(frozen=True)
class Part:
    """What is asked of one moment's variants, little enough for one call."""

    asks: tuple[Ask, ...]
    variants: Variants

    @property
    def weight(self) -> int:
        return sum(map(weight, self.asks))


def weight(ask: Ask) -> int:
    """In places: what a list takes to make, even a short one."""
    return max(ask.count, LEAST)


def parts(asks: Sequence[Ask], most: int) -> Iterator[tuple[Ask, ...]]:
    """The same in portions of so much weight at most; a list of more is alone in its own."""
    part: list[Ask] = []
    for ask in asks:
        if part and sum(map(weight, part)) + weight(ask) > most:
            yield tuple(part)
            part = []
        part.append(ask)
    yield tuple(part)


def check_times(ask: Ask) -> None:
    """See that a session's times can be.

    Raises
    ------
    RefusedError
        Only some of its events have one, or one lies before 2000.
    """
    timed = [event.event_time is not None for event in ask.session or ()]
    if any(timed) and not all(timed):
        raise RefusedError(422, "session: give event_time of all events or of none")
    for event in ask.session or ():
        if event.event_time is not None and event.event_time < FIRST_MOMENT:
            raise RefusedError(422, "session: event_time before 2000")
