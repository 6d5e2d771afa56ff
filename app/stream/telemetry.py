"""What the stream tells of itself: InfluxDB points, Prometheus metrics and a line for people."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from app.monitor.prometheus import StreamMetrics
from app.monitor.schema import BASELINE, LISTS, QUALITY, SERVED, STREAM_PROGRESS
from app.stream.score import Result

FRESHNESS_KEPT = 200_000  #: lists whose freshness is remembered for the quantiles of the summary
NANOSECONDS = 1_000_000_000


class Telemetry:
    """Figures since the start, and the points of each micro-batch.

    Thread-safe: micro-batches and Spark's progress come from different threads.
    """

    def __init__(self, metrics: StreamMetrics, clock: Callable[[], float] = time.time):
        self.metrics, self._clock = metrics, clock
        self._lock = threading.Lock()
        self._freshness: deque[tuple[float, int]] = deque()
        self._freshness_lists = 0
        self.started = clock()
        self.totals: Counter[str] = Counter()
        self.judged: dict[str, list[float]] = {}
        self.places: Counter[str] = Counter()
        self.state_rows = self.state_bytes = 0
        self.consumed: dict[str, float] = {}  # by query: arrival of the newest file it has done with

    def forget(self) -> None:
        """Start the figures of the summary anew, for example after a warm-up."""
        with self._lock:
            self.started = self._clock()
            self.totals.clear()
            self.judged.clear()
            self.places.clear()
            self._freshness.clear()
            self._freshness_lists = 0

    def batch_lines(self, result: Result, version: str, readable_at: float, refused: int = 0) -> list[str]:
        """Take in a micro-batch of lists, before which so many bundles were refused; give its InfluxDB points."""
        moment = int(result.generated_at * 1000) * 1_000_000
        ages = sorted((max(0.0, readable_at - arrived), lists) for arrived, lists in result.arrived.items())
        lists = sum(counts[0] for counts in result.lists.values())
        with self._lock:
            self.totals.update(lists=lists, short=result.short, retries=result.retries, batches=1)
            for (segment, generator), (queries, hits, reciprocal) in result.quality.items():
                sums = self.judged.setdefault(generator, [0, 0, 0.0])
                self.judged[generator] = [a + b for a, b in zip(sums, (queries, hits, reciprocal), strict=True)]
                self.metrics.judged(segment, generator, int(queries), int(hits), reciprocal)
            for (_, generator), (first, places) in result.lists.items():
                self.places[generator] += int(places)
                self.metrics.lists_written.labels(generator).inc(first)
            self._freshness.extend(ages)
            self._freshness_lists += sum(count for _, count in ages)
            while self._freshness_lists > FRESHNESS_KEPT and len(self._freshness) > 1:
                self._freshness_lists -= self._freshness.popleft()[1]
        self.metrics.influx_retries.inc(result.retries)
        self.metrics.batch_done(max(0.0, readable_at - result.generated_at), readable_at, ages)
        tags = lambda key: {"segment": key[0], "generator": key[1], "model_version": version}  # noqa: E731
        lines = [
            LISTS.line(time=moment, **tags(key), lists=first, places=places)
            for key, (first, places) in result.lists.items()
        ]
        lines += [
            QUALITY.line(time=moment, **tags(key), queries=int(q), hits_10=int(h), reciprocal_rank_sum=r)
            for key, (q, h, r) in result.quality.items()
        ]
        p50, p95, worst = quantiles(ages, (0.5, 0.95, 1.0))
        progress = STREAM_PROGRESS.line(
            time=moment,
            lists=lists,
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

    def progress_line(self, query: str, progress: dict[str, Any]) -> str | None:
        """Take in Spark's own progress of a query; the point of a micro-batch of lists, if it is one."""
        seen = (progress.get("observedMetrics") or {}).get(f"{query}_rows") or {}
        operators = progress.get("stateOperators") or [{}]
        late = sum(operator.get("numRowsDroppedByWatermark", 0) for operator in operators)
        newest = seen.get("arrived")
        with self._lock:
            if newest is not None:
                self.consumed[query] = max(self.consumed.get(query, 0.0), float(newest))
            self.totals[f"{query}_rows"] += int(seen.get("rows") or 0)
            if query != LISTS_QUERY:
                return None
            self.state_rows = sum(operator.get("numRowsTotal", 0) for operator in operators)
            self.state_bytes = sum(operator.get("memoryUsedBytes", 0) for operator in operators)
            rows, rejected = int(seen.get("rows") or 0), int(seen.get("rejected") or 0)
            self.totals.update(rows=rows, rejected=rejected, late=late)
        self.metrics.events.inc(rows)
        self.metrics.rejected_events.inc(rejected)
        self.metrics.late_events.inc(late)
        self.metrics.state_rows.set(self.state_rows)
        self.metrics.state_bytes.set(self.state_bytes)
        if not rows:
            return None
        duration = progress.get("durationMs") or {}
        last = seen.get("event_time")
        return STREAM_PROGRESS.line(
            time=_nanoseconds(progress["timestamp"]),
            rows=rows,
            rejected_rows=rejected,
            late_rows=late,
            batch_seconds=duration.get("triggerExecution", 0) / 1000,
            read_seconds=(duration.get("latestOffset", 0) + duration.get("queryPlanning", 0)) / 1000,
            state_rows=self.state_rows,
            state_bytes=self.state_bytes,
            event_time_last=int(float(last) * 1000) if last is not None else None,
        )

    def summary(self) -> dict[str, Any]:
        """Figures since the start, JSON-able; times in seconds."""
        with self._lock:
            p50, p95, p99, worst = quantiles(sorted(self._freshness), (0.5, 0.95, 0.99, 1.0))
            seconds = max(self._clock() - self.started, 1e-9)
            placed = sum(self.places.values()) or 1
            hr = {name: sums[1] / sums[0] if sums[0] else None for name, sums in self.judged.items()}
            return {
                "seconds": round(seconds, 1),
                "events": self.totals["rows"],
                "rejected": self.totals["rejected"],
                "late": self.totals["late"],
                "lists": self.totals["lists"],
                "short_lists": self.totals["short"],
                "batches": self.totals["batches"],
                "p50_s": p50,
                "p95_s": p95,
                "p99_s": p99,
                "max_s": worst,
                "hr_10": hr.get(SERVED),
                "hr_10_most_popular": hr.get(BASELINE),
                "hr_10_by_generator": hr,
                "queries": int(self.judged.get(SERVED, [0])[0]),
                "share_by_source": {name: count / placed for name, count in sorted(self.places.items())},
                "state_rows": self.state_rows,
                "state_bytes": self.state_bytes,
                "influx_retries": self.totals["retries"],
            }


LISTS_QUERY, WINDOWS_QUERY, ARCHIVE_QUERY = "lists", "windows", "archive"


def quantiles(ages: list[tuple[float, int]], wanted: tuple[float, ...]) -> list[float | None]:
    """Quantiles of weighted, sorted values; None where there are none."""
    if not ages:
        return [None] * len(wanted)
    values, weights = (np.array(column, float) for column in zip(*ages, strict=True))
    reached = np.cumsum(weights) / weights.sum()
    places = np.minimum(np.searchsorted(reached, wanted), len(values) - 1)
    return [round(float(values[place]), 3) for place in places]


def _nanoseconds(timestamp: str) -> int:
    return int(np.datetime64(timestamp.removesuffix("Z"), "ns").astype(np.int64))
