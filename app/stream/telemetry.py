"""What the stream has done since its start: Prometheus metrics, and a summary for people."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from app.monitor.prometheus import StreamMetrics
from app.monitor.schema import BASELINE, SERVED
from app.stream.differences import Unaccounted
from app.stream.freshness import Ages, Freshness
from app.stream.progress import BatchProgress
from app.stream.score import Result


@dataclass(frozen=True)
class StreamSummary:
    """Figures since the start.

    `p50_s` to `max_s` are freshness in seconds, over the latest lists; `hr_10` are hit rates of prequential
    queries, None before the first; `share_by_source` is the share of places that each generator filled;
    `unaccounted` are rows, lists and micro-batches that the accounts miss now.
    """

    seconds: float
    events: int
    rejected: int
    late: int
    lists: int
    short_lists: int
    batches: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    hr_10: float | None
    hr_10_most_popular: float | None
    hr_10_by_generator: dict[str, float | None]
    queries: int
    share_by_source: dict[str, float]
    state_rows: int
    state_bytes: int
    influx_retries: int
    damaged_files: int
    vanished_files: int
    unaccounted: int


@dataclass
class _Judged:
    queries: int = 0
    hits: int = 0

    @property
    def hit_rate(self) -> float | None:
        return self.hits / self.queries if self.queries else None


class Telemetry:
    """Counts what the stream does.

    Thread-safe: micro-batches and Spark's progress come from different threads.

    Parameters
    ----------
    metrics
        Where everything is counted for Prometheus as well.
    clock
        Seconds, as `time.time`.
    """

    def __init__(self, metrics: StreamMetrics, clock: Callable[[], float] = time.time):
        self.metrics, self._clock = metrics, clock
        self._lock = threading.Lock()
        self._rows = 0
        self._unaccounted = Unaccounted()
        self._refused = 0
        self._state_rows = self._state_bytes = 0
        self._start_anew()

    def _start_anew(self) -> None:
        self._started = self._clock()
        self._totals: Counter[str] = Counter()
        self._judged: dict[str, _Judged] = {}
        self._places: Counter[str] = Counter()
        self._freshness = Freshness()

    def forget(self) -> None:
        """Start the figures of the summary anew, for example after a warm-up."""
        with self._lock:
            self._start_anew()

    def scored(self, result: Result, ages: Ages) -> None:
        """Count a micro-batch of lists.

        Parameters
        ----------
        result
            Its sums over all partitions.
        ages
            Freshness of its lists.
        """
        with self._lock:
            lists = sum(first for first, _ in result.lists.values())
            self._totals.update(lists=lists, short=result.short, retries=result.retries, batches=1)
            for (_, generator), (queries, hits, _) in result.quality.items():
                judged = self._judged.setdefault(generator, _Judged())
                judged.queries += int(queries)
                judged.hits += int(hits)
            for (_, generator), (_, places) in result.lists.items():
                self._places[generator] += places
            self._freshness.add(ages)
        for (segment, generator), (queries, hits, reciprocal) in result.quality.items():
            self.metrics.judged(segment, generator, int(queries), int(hits), reciprocal)
        for (_, generator), (first, _) in result.lists.items():
            self.metrics.lists_written.labels(generator).inc(first)
        self.metrics.influx_retries.inc(result.retries)
        self.metrics.batch_done(max(0.0, result.readable_at - result.generated_at), result.readable_at, ages)

    def progressed(self, progress: BatchProgress, late: int) -> None:
        """Count a micro-batch that Spark has committed, and so many events that came too late in it."""
        with self._lock:
            self._rows += progress.rows
            self._totals.update(events=progress.rows, rejected=progress.rejected, late=late)
            self._state_rows, self._state_bytes = progress.state_rows, progress.state_bytes
        self.metrics.events.inc(progress.rows)
        self.metrics.rejected_events.inc(progress.rejected)
        self.metrics.late_events.inc(late)
        self.metrics.state_rows.set(progress.state_rows)
        self.metrics.state_bytes.set(progress.state_bytes)

    def uses_bundle(self, version: str, refused: int) -> int:
        """Note the bundle in use, and how many were refused since the start; returns how many of them are new."""
        with self._lock:
            new, self._refused = refused - self._refused, refused
        self.metrics.bundles_refused.inc(new)
        self.metrics.bundle.info({"version": version})
        return new

    def influx_retried(self) -> None:
        """Count a write to InfluxDB, by the driver, that has to be tried again."""
        with self._lock:
            self._totals["retries"] += 1
        self.metrics.influx_retries.inc()

    def set_aside(self) -> None:
        """Count a file that is damaged or lost."""
        with self._lock:
            self._totals["damaged"] += 1
        self.metrics.damaged_files.inc()

    def vanished(self, files: int) -> None:
        """Count files that were gone before they were read."""
        with self._lock:
            self._totals["vanished"] += files
        self.metrics.vanished_files.inc(files)

    def audited(self, unaccounted: Unaccounted) -> None:
        """Note what the accounts miss, or have too much of."""
        with self._lock:
            self._unaccounted = unaccounted
        self.metrics.unaccounted_rows.set(unaccounted.rows)
        self.metrics.unaccounted_lists.set(unaccounted.lists)
        self.metrics.missing_accounts.set(unaccounted.accounts)

    def rows(self) -> int:
        """Rows committed since the process started."""
        with self._lock:
            return self._rows

    def summary(self) -> StreamSummary:
        """Figures since the start, or since `forget`."""
        with self._lock:
            p50, p95, p99, worst = self._freshness.quantiles((0.5, 0.95, 0.99, 1.0))
            placed = sum(self._places.values()) or 1
            rates = {name: judged.hit_rate for name, judged in self._judged.items()}
            return StreamSummary(
                seconds=max(round(self._clock() - self._started, 1), 0.1),
                events=self._totals["events"],
                rejected=self._totals["rejected"],
                late=self._totals["late"],
                lists=self._totals["lists"],
                short_lists=self._totals["short"],
                batches=self._totals["batches"],
                p50_s=p50,
                p95_s=p95,
                p99_s=p99,
                max_s=worst,
                hr_10=rates.get(SERVED),
                hr_10_most_popular=rates.get(BASELINE),
                hr_10_by_generator=rates,
                queries=self._judged.get(SERVED, _Judged()).queries,
                share_by_source={name: count / placed for name, count in sorted(self._places.items())},
                state_rows=self._state_rows,
                state_bytes=self._state_bytes,
                influx_retries=self._totals["retries"],
                damaged_files=self._totals["damaged"],
                vanished_files=self._totals["vanished"],
                unaccounted=sum(vars(self._unaccounted).values()),
            )
