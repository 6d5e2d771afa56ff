"""What lists lead to: lists are written down as they are answered, and one of all replicas counts what came of them."""

import asyncio
import logging
import threading
from asyncio import to_thread
from collections.abc import Callable

from app.api.attribution.answered import HOUR, Answered, AnsweredLists
from app.api.attribution.counter import Counter, Counting, Folders
from app.api.metrics import ApiMetrics
from app.core.errors import VitrineError
from app.core.settings import Settings

#: In which the lists since the last count are counted, a portion at a time, and the least and the most rest after each:
#: done at a stretch, it would take a tenth of the time of answers.
SPREAD_SECONDS, LEAST_REST_SECONDS, MOST_REST_SECONDS = 4.0, 0.005, 0.05
LOG = logging.getLogger("vitrine")


class Attribution:
    """Of one process.

    Parameters
    ----------
    settings
        Output, layout, `attribution_hours`, InfluxDB.
    metrics
        Count what was shown, and what came of it.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics, now: Callable[[], float]):
        self._metrics, self._settings, self._now = metrics, settings, now
        self._lists = AnsweredLists(Folders.of(settings).lists, now)
        self._counter = Counter(settings, now)
        self._guard, self._closed, self._pruned = threading.Lock(), False, 0
        self._failure = ""  #: that was said last, so that it is said once

    def remember(self, answered: Answered) -> str:
        """Keep a list, to be written down by `write`; its id."""
        for cause, because in enumerate(answered.causes):
            places = answered.because.count(cause)
            self._metrics.places_of(answered.variant, because.source, because.reason).inc(places)
        return self._lists.add(answered)

    def write(self) -> None:
        """Write down the lists that were answered since the last call."""
        try:
            self._lists.write()
        except OSError as error:  # answering goes on
            self._failed(f"answered lists were not written down, what comes of them is not known: {error}")

    async def count(self) -> None:
        """Count on, if no other replica does, and write to InfluxDB what has changed.

        Disk and network are waited for in a thread. What is computed is done here, a little at a time: in a thread it
        would take far longer, and answers with it, since each would take the interpreter from the other.
        """
        try:
            while (counting := await to_thread(self._begin)) is not None:
                rest = LEAST_REST_SECONDS if counting.is_full else SPREAD_SECONDS / max(1, len(counting.unread))
                for lines in counting.unread:
                    self._counter.show(lines, counting)
                    await asyncio.sleep(min(rest, MOST_REST_SECONDS))
                await to_thread(self._finish, counting)
                if not counting.is_full:
                    break
            self._failure = ""
        except (OSError, VitrineError) as error:
            self._failed(f"what lists led to is not counted or shown yet: {error}")

    def close(self) -> None:
        """Write down what is left, and leave the counting to another replica."""
        self.write()
        with self._guard:
            self._closed = True
            self._counter.close()

    def _begin(self) -> Counting | None:
        with self._guard:
            return self._counter.unread() if not self._closed and self._counter.begin() else None

    def _finish(self, counting: Counting) -> None:
        with self._guard:
            if self._closed:
                return
            counted = self._counter.finish(counting)
            for (event_type, outcome), events in counted.events.items():
                self._metrics.attributed.labels(event_type, outcome).inc(events)
            for labels, places in counted.places.items():
                self._metrics.touched.labels(*labels).inc(places)
            if (hour := int(self._now() // HOUR)) != self._pruned and not counting.is_full:  # nothing that is unread
                self._counter.prune()
                self._pruned = hour
            if self._settings.influx_url is not None and self._counter.counts is not None:
                from app.api.attribution.publish import publish  # loads pandas

                publish(self._counter.counts, self._settings)

    def _failed(self, text: str) -> None:
        self._metrics.lost_lists.inc()
        if text != self._failure:
            LOG.error(text)
        self._failure = text
