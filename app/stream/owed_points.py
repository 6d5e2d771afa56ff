"""Points of windows that InfluxDB did not take when they were counted: written once it does, none is skipped.

However slow it is: what is offered at once is halved until it is taken in time; for one window the time is doubled, up
to what every other write to InfluxDB is given.
"""

import time
from collections.abc import Callable, Mapping
from itertools import islice

import pyarrow as pa

from app.stream.points import OFFER_SECONDS, PointSink
from app.stream.window_files import window_lines

AT_ONCE = 100  #: windows paid by one write, at the most


class OwedPoints:
    """Writes the points of counts, or remembers of which windows they are owed.

    Parameters
    ----------
    points
        Where they go.
    standing
        Gives what the files say of windows: what is owed is written as it is by then.
    """

    def __init__(self, points: PointSink, standing: Callable[[list[int]], pa.Table]):
        self._points, self._standing = points, standing
        self._owed: dict[int, int] = {}
        self._portion, self._seconds = AT_ONCE, OFFER_SECONDS

    def write(self, counts: pa.Table, since: Mapping[int, int]) -> None:
        """Write the points of some windows, each with the first micro-batch that they are of."""
        if self._points.offer(window_lines(counts)):
            for start in since:
                self._owed.pop(start, None)
            return
        for start, batch in since.items():
            self._owed[start] = min(batch, self._owed.get(start, batch))

    def pay(self) -> None:
        """Write what is owed, as far as it is taken, for some seconds; the rest is for the next time."""
        begun = time.monotonic()
        while (starts := [*islice(self._owed, self._portion)]) and not self._points.pauses():
            offered = time.monotonic()
            if not self._points.offer(window_lines(self._standing(starts)), self._seconds):
                self._ask_less()
                return
            for start in starts:
                del self._owed[start]
            ended = time.monotonic()
            if ended - offered < self._seconds / 2:
                self._ask_more()
            if ended - begun > OFFER_SECONDS:
                return

    def since(self) -> int | None:
        """The first micro-batch that points are owed of."""
        return min(self._owed.values(), default=None)

    def _ask_less(self) -> None:
        if self._portion > 1:
            self._portion //= 2
        else:
            longest = self._points.config.timeout if self._points.config is not None else OFFER_SECONDS
            self._seconds = min(2 * self._seconds, longest)

    def _ask_more(self) -> None:
        if self._seconds > OFFER_SECONDS:
            self._seconds = max(self._seconds / 2, OFFER_SECONDS)
        else:
            self._portion = min(2 * self._portion, AT_ONCE)
