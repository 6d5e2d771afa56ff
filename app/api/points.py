"""What the API answered, as points of InfluxDB: the row of the API on the dashboards."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from app.api.metrics import LATENCY_BUCKETS, ApiMetrics
from app.core.errors import InputError, VitrineError
from app.monitor.influx import InfluxConfig, write_lines
from app.monitor.schema import API

TIMEOUT = 3.0  #: seconds for a write; what is not written by then is tried again with the next points
QUANTILES = {"seconds_p50": 0.5, "seconds_p95": 0.95, "seconds_p99": 0.99}


@dataclass
class Route:
    """Answers of a route, and how many took up to each bound of `LATENCY_BUCKETS`, or longer."""

    requests: float = 0
    refused: float = 0
    errors: float = 0
    within: list[float] = field(default_factory=lambda: [0.0] * (len(LATENCY_BUCKETS) + 1))

    def since(self, before: "Route") -> "Route":
        """What came after an earlier state."""
        within = [now - then for now, then in zip(self.within, before.within, strict=True)]
        return Route(
            self.requests - before.requests, self.refused - before.refused, self.errors - before.errors, within
        )


def routes_of(metrics: ApiMetrics) -> dict[str, Route]:
    """Every route that was asked so far."""
    found: dict[str, Route] = {}
    for sample in _samples(metrics.requests):
        if sample.name.endswith("_total"):
            route = found.setdefault(sample.labels["route"], Route())
            status = int(sample.labels["status"])
            route.requests += sample.value
            route.refused += sample.value * (400 <= status < 500)
            route.errors += sample.value * (status >= 500)
    bounds = {"+Inf": len(LATENCY_BUCKETS)} | {str(bound): place for place, bound in enumerate(LATENCY_BUCKETS)}
    for sample in _samples(metrics.seconds):
        if sample.name.endswith("_bucket"):
            found.setdefault(sample.labels["route"], Route()).within[bounds[sample.labels["le"]]] = sample.value
    return found


def _samples(metric: Collector) -> list[Sample]:
    return [sample for family in metric.collect() for sample in family.samples]


def quantile(within: Sequence[float], share: float) -> float | None:
    """The time that a share of the requests took at most, as Prometheus tells it from a histogram; None of none.

    Parameters
    ----------
    within
        Requests up to each bound of `LATENCY_BUCKETS`, and all.
    share
        Between 0 and 1.
    """
    wanted = share * within[-1]
    if wanted <= 0:
        return None
    below, count = 0.0, 0.0
    for bound, reached in zip(LATENCY_BUCKETS, within, strict=False):
        if reached >= wanted:
            return below + (bound - below) * (wanted - count) / (reached - count)
        below, count = bound, reached
    return LATENCY_BUCKETS[-1]


class ApiPoints:
    """Writes what was answered since the last points.

    Parameters
    ----------
    config
        Where to write.
    metrics
        Of the server.
    say
        Gets a line when points can't be written, and when they can again.
    now
        Nanoseconds since 1970: two replicas never write in the same one, so their points stay apart.
    """

    def __init__(
        self,
        config: InfluxConfig,
        metrics: ApiMetrics,
        say: Callable[[str], Any],
        now: Callable[[], int] = time.time_ns,
    ):
        self._config, self._metrics, self._say, self._now = replace(config, timeout=TIMEOUT), metrics, say, now
        self._written: dict[str, Route] = {}
        self._waiting: tuple[list[str], dict[str, Route]] | None = None
        self._one_at_a_time = Lock()
        self._failed = False

    def write(self) -> None:
        """Write a point for each route that was asked; for any thread.

        Where no answer came they are written again as they were, since they may have arrived; what was asked
        meanwhile is counted by the next ones.
        """
        with self._one_at_a_time:
            try:
                if self._waiting is not None:
                    self._send(*self._waiting)
                routes = routes_of(self._metrics)
                self._send(self._lines(routes), routes)
            except VitrineError as error:
                if not self._failed:
                    self._say(f"points of the API are not written, and will be later: {error}")
                self._failed = True
                return
            if self._failed:
                self._say("points of the API are written again")
            self._failed = False

    def _send(self, lines: list[str], routes: dict[str, Route]) -> None:
        """Write the points up to a state, or keep them."""
        self._waiting = lines, routes
        try:
            write_lines(self._config, lines, deadline=0)
        except InputError:  # refused, so none of them is there, and the next ones may count for them
            self._waiting = None
            raise
        self._waiting, self._written = None, routes

    def _lines(self, routes: dict[str, Route]) -> list[str]:
        at = self._now()
        news = {name: route.since(self._written.get(name, Route())) for name, route in routes.items()}
        return [
            API.line(
                time=at,
                route=name,
                requests=new.requests,
                refused=new.refused,
                errors=new.errors,
                **{name: quantile(new.within, share) for name, share in QUANTILES.items()},
            )
            for name, new in news.items()
            if new.requests > 0
        ]
