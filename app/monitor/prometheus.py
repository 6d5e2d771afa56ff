"""Prometheus metrics of the stream, served by the driver.

Names and units follow prometheus.io/docs/practices/naming: prefix `vitrine_`, base units,
counters end in `_total`. Labels take few values; never a user or a product.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from app.core.errors import InputError

#: Fine around the aim of 3 s, then up to the promise of 60 s and beyond.
FRESHNESS_BUCKETS = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
DURATION_BUCKETS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)


class WeightedHistogram(Collector):
    """A histogram that takes a value many times at once.

    All lists of a file become readable together: one call, not one per list as `Histogram` would need.
    """

    def __init__(self, name: str, documentation: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._bounds = name, documentation, buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value` so many times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The cumulative buckets, for the registry."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), list(self._counts), strict=True):
            total += count
            buckets.append((bound, total))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)


class StreamMetrics:
    """The stream's metrics, in a registry of their own.

    The attributes are prometheus-client metrics, to be used as such: `metrics.events.inc(1000)`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        self.batch_duration = Histogram(
            "vitrine_stream_batch_duration_seconds",
            "Duration of a micro-batch.",
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.freshness = WeightedHistogram(
            "vitrine_stream_freshness_seconds",
            "From a file's arrival to its users' lists being readable, one observation a list.",
            FRESHNESS_BUCKETS,
            self.registry,
        )
        self.events = counter("vitrine_stream_events_total", "Events read.")
        self.rejected_events = counter("vitrine_stream_rejected_events_total", "Rows that cannot be events.")
        self.late_events = counter("vitrine_stream_late_events_total", "Events behind the watermark.")
        self.unaccounted_rows = gauge(
            "vitrine_stream_unaccounted_rows", "Rows that came in and are missing or doubled; anything but 0 is a loss."
        )
        self.unaccounted_lists = gauge(
            "vitrine_stream_unaccounted_lists",
            "Lists, or rows of their files, that are missing or doubled; anything but 0 is a loss.",
        )
        self.missing_accounts = gauge(
            "vitrine_stream_missing_accounts", "Micro-batches without an account: gaps in their numbers."
        )
        self.damaged_files = counter(
            "vitrine_stream_damaged_files_total",
            "Files that could not be read, came again under a known name, or were lost and are made again.",
        )
        self.vanished_files = counter(
            "vitrine_stream_vanished_files_total", "Files that were listed, and gone before they were read."
        )
        self.lists_written = counter(
            "vitrine_stream_lists_written_total", "Lists written, by the generator of their first place.", ["generator"]
        )
        self.state_rows = gauge("vitrine_stream_state_rows", "Rows in the state store.")
        self.state_bytes = gauge("vitrine_stream_state_bytes", "Memory the state store uses.")
        self.last_success = gauge(
            "vitrine_stream_last_success_timestamp_seconds", "Unix time at which the last micro-batch was completed."
        )
        self.bundle = Info("vitrine_bundle", "Model bundle in use.", registry=self.registry)
        self.bundles_refused = counter(
            "vitrine_bundle_refused_total", "Damaged bundles refused in favour of the one in use."
        )
        self.influx_retries = counter("vitrine_influx_retries_total", "Writes to InfluxDB that had to be retried.")
        quality = ["segment", "generator"]
        self.queries = counter("vitrine_prequential_queries_total", "Events judged against a list.", quality)
        self.hits = counter("vitrine_prequential_hits_total", "Queries whose product was in the first ten.", quality)
        self.reciprocal_ranks = counter(
            "vitrine_prequential_reciprocal_ranks_total", "Sum of 1 / place over queries.", quality
        )

    def batch_done(self, seconds: float, at: float, freshness: Iterable[tuple[float, int]] = ()) -> None:
        """A micro-batch is completed.

        Parameters
        ----------
        seconds
            How long it took.
        at
            Unix time of its end.
        freshness
            (seconds, lists) per file: how long after its arrival how many lists were readable.
        """
        self.batch_duration.observe(seconds)
        self.last_success.set(at)
        for age, lists in freshness:
            self.freshness.observe(age, lists)

    def judged(self, segment: str, generator: str, queries: int, hits: int, reciprocal_ranks: float) -> None:
        """Add a row of prequential sums."""
        self.queries.labels(segment, generator).inc(queries)
        self.hits.labels(segment, generator).inc(hits)
        self.reciprocal_ranks.labels(segment, generator).inc(reciprocal_ranks)

    def serve(self, port: int, address: str = "0.0.0.0") -> WSGIServer:
        """Serve `/metrics` from a daemon thread; port 0 takes a free one (`server.server_port`).

        End it with `server.shutdown()` and `server.server_close()`.

        Raises
        ------
        InputError
            The port can't be had.
        """
        try:
            server, _ = start_http_server(port, address, registry=self.registry)
        except OSError as error:
            reason = f"port {port} for metrics: {error.strerror}"
            raise InputError(f"{reason}; give --metrics-port (VITRINE_METRICS_PORT) another") from None
        return server
