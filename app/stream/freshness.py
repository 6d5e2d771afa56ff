"""Freshness: how long after a file's arrival the lists that its events led to can be read."""

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

KEPT = 200_000  #: lists whose freshness is remembered for quantiles since the start

Ages = list[tuple[float, int]]  #: seconds, and the number of lists that were so old


def ages(arrived: Mapping[float, int], readable_at: float) -> Ages:
    """Ages of a micro-batch's lists when they became readable, youngest first.

    Parameters
    ----------
    arrived
        Arrival of a file (seconds since 1970) → lists that its events led to.
    readable_at
        Seconds since 1970.
    """
    return sorted((max(0.0, readable_at - moment), lists) for moment, lists in arrived.items())


def quantiles(ages: Iterable[tuple[float, int]], wanted: tuple[float, ...]) -> list[float | None]:
    """Quantiles over lists, in seconds to the millisecond; None where there are no lists."""
    ordered = sorted(ages)
    if not ordered:
        return [None] * len(wanted)
    values, weights = (np.array(column, float) for column in zip(*ordered, strict=True))
    reached = np.cumsum(weights) / weights.sum()
    places = np.minimum(np.searchsorted(reached, wanted), len(values) - 1)
    return [round(float(values[place]), 3) for place in places]


class Freshness:
    """The ages of the latest lists, some `KEPT` of them."""

    def __init__(self) -> None:
        self._ages: deque[tuple[float, int]] = deque()
        self._lists = 0

    def add(self, ages: Ages) -> None:
        """Take in those of a micro-batch; the oldest entries make room."""
        self._ages.extend(ages)
        self._lists += sum(lists for _, lists in ages)
        while self._lists > KEPT and len(self._ages) > 1:
            self._lists -= self._ages.popleft()[1]

    def quantiles(self, wanted: tuple[float, ...]) -> list[float | None]:
        """See `quantiles`."""
        return quantiles(self._ages, wanted)
