"""Points of windows that InfluxDB did not take when they were counted: written once it does, none is skipped."""

from collections.abc import Callable, Mapping
from itertools import islice

import pyarrow as pa

from app.stream.points import PointSink
from app.stream.window_files import window_lines

AT_ONCE = 100  #: windows paid by one write


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

    def write(self, counts: pa.Table, since: Mapping[int, int]) -> None:
        """Write the points of some windows, each with the first micro-batch that they are of."""
        if self._points.offer(window_lines(counts)):
            for start in since:
                self._owed.pop(start, None)
            return
        for start, batch in since.items():
            self._owed[start] = min(batch, self._owed.get(start, batch))

    def pay(self) -> None:
        """Write what is owed, as far as it is taken."""
        while starts := [*islice(self._owed, AT_ONCE)]:
            if not self._points.offer(window_lines(self._standing(starts))):
                return
            for start in starts:
                del self._owed[start]

    def since(self) -> int | None:
        """The first micro-batch that points are owed of."""
        return min(self._owed.values(), default=None)
