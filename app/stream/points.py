"""The InfluxDB points that the driver writes: their content, and how they get there."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.core.errors import InputError, VitrineError
from app.monitor.influx import BATCH_LINES, InfluxConfig, InfluxWriter, delete_before, trying_again
from app.monitor.schema import (
    API,
    ATTRIBUTED_EVENTS,
    ATTRIBUTED_LISTS,
    ATTRIBUTED_PLACES,
    LISTS,
    QUALITY,
    RECOMMENDATIONS,
    STREAM_PROGRESS,
)
from app.stream.differences import Unaccounted
from app.stream.freshness import Ages, quantiles
from app.stream.progress import BatchProgress
from app.stream.score import Result

MILLISECOND = 1_000_000  #: nanoseconds
#: Measurements that grow for as long as stream and API are at work, in processing time.
PASSING = tuple(
    measurement.name
    for measurement in (
        RECOMMENDATIONS,
        LISTS,
        QUALITY,
        STREAM_PROGRESS,
        API,
        ATTRIBUTED_PLACES,
        ATTRIBUTED_LISTS,
        ATTRIBUTED_EVENTS,
    )
)


def batch_lines(result: Result, version: str, ages: Ages, refused: int) -> list[str]:
    """Points of a micro-batch of lists, at its start: tried again, it writes the same ones.

    Parameters
    ----------
    result
        Its sums over all partitions.
    version
        Of the bundle that answered.
    ages
        Freshness of its lists.
    refused
        Bundles that were refused since the micro-batch before.

    Returns
    -------
    list of str
        Lines of `lists` and `quality` by segment and generator, and one of `stream_progress`.
    """
    moment = int(result.generated_at * 1000) * MILLISECOND
    lines = [
        LISTS.line(time=moment, segment=segment, generator=generator, model_version=version, lists=first, places=places)
        for (segment, generator), (first, places) in result.lists.items()
    ]
    lines += [
        QUALITY.line(
            time=moment,
            segment=segment,
            generator=generator,
            model_version=version,
            queries=int(queries),
            hits_10=int(hits),
            reciprocal_rank_sum=reciprocal,
        )
        for (segment, generator), (queries, hits, reciprocal) in result.quality.items()
    ]
    p50, p95, worst = quantiles(ages, (0.5, 0.95, 1.0))
    progress = STREAM_PROGRESS.line(
        time=moment,
        lists=sum(first for first, _ in result.lists.values()),
        score_seconds=result.score_seconds,
        write_seconds=result.write_seconds,
        freshness_p50_seconds=p50,
        freshness_p95_seconds=p95,
        freshness_max_seconds=worst,
        influx_retries=result.retries,
        bundle_refusals=refused,
        model_version=version,
    )
    return [*lines, progress]


def progress_lines(progress: BatchProgress, late: int) -> list[str]:
    """The point of Spark's own progress, and late events: one for a micro-batch with rows, else none."""
    if not progress.rows:
        return []
    last = progress.event_time
    line = STREAM_PROGRESS.line(
        time=progress.time,
        rows=progress.rows,
        rejected_rows=progress.rejected,
        late_rows=late,
        batch_seconds=progress.batch_seconds,
        read_seconds=progress.read_seconds,
        state_rows=progress.state_rows,
        state_bytes=progress.state_bytes,
        event_time_last=int(last * 1000) if last is not None else None,
    )
    return [line]


def accounts_line(missed: Unaccounted, now: float) -> str:
    """The point of an audit, at its moment (seconds since 1970): an idle stream tells of a loss as well."""
    return STREAM_PROGRESS.line(
        time=int(now * 1000) * MILLISECOND,
        unaccounted_rows=missed.rows,
        unaccounted_lists=missed.lists,
        missing_accounts=missed.accounts,
    )


OFFER_SECONDS = 5.0  #: what is offered may take so long, or twice that
PAUSE_SHARE = 3.0  #: after an offer that was not taken nothing is offered for so many times as long


class PointSink:
    """Writes points, trying again until they are there or the stream stops; nothing where no InfluxDB is set.

    Parameters
    ----------
    config
        Where to write; None writes nothing.
    stopping
        Asked while InfluxDB is away; True gives up.
    retried
        Called before each new try.
    say
        Gets a line before each new try.
    """

    def __init__(
        self,
        config: InfluxConfig | None,
        stopping: Callable[[], bool],
        retried: Callable[[], None],
        say: Callable[[str], Any],
    ):
        self.config, self._stopping, self._retried, self._say = config, stopping, retried, say
        self._offered_again = 0.0

    def write(self, lines: list[str]) -> None:
        """Write all lines.

        Raises
        ------
        InputError
            InfluxDB refuses them.
        VitrineError
            The stream is stopping and InfluxDB is still away.
        """
        if self.config is None or not lines:
            return
        with InfluxWriter(self.config, stop=self._stopping, on_retry=self._report_retry) as writer:
            writer.write(lines)

    def pauses(self) -> bool:
        """Whether nothing is offered now, after an offer that was not taken."""
        return time.monotonic() < self._offered_again

    def offer(self, lines: list[str], seconds: float | None = None) -> bool:
        """Write lines if InfluxDB takes them soon; for what has other things to do than to wait for it.

        Parameters
        ----------
        lines
            In line protocol.
        seconds
            That one request may take, and after which no other is begun; `OFFER_SECONDS` by default.

        Returns
        -------
        bool
            Whether all are there, also where no InfluxDB is set.

        Raises
        ------
        InputError
            InfluxDB refuses them.
        """
        if self.config is None or not lines:
            return True
        if self.pauses():
            return False
        now, seconds = time.monotonic(), OFFER_SECONDS if seconds is None else seconds
        config = replace(self.config, timeout=min(self.config.timeout, seconds))
        try:
            with InfluxWriter(config, deadline=0.0, on_retry=self._report_retry) as writer:
                for start in range(0, len(lines), BATCH_LINES):
                    if time.monotonic() > now + seconds:
                        return False
                    writer.write(lines[start : start + BATCH_LINES])
        except InputError:
            raise
        except VitrineError:  # told by `_report_retry`
            self._offered_again = time.monotonic() + PAUSE_SHARE * seconds
            return False
        return True

    def delete_old(self, days: float, now: datetime) -> None:
        """Delete points of micro-batches older than so many days.

        Raises
        ------
        VitrineError
            The server can't be reached, or refuses.
        """
        if self.config is not None:
            delete_before(self.config, PASSING, now - timedelta(days=days))

    def _report_retry(self, reason: str) -> None:
        self._retried()
        self._say(trying_again(reason))
