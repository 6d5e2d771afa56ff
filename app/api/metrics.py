"""Prometheus metrics of the API, by the same rules as the stream's (`app.monitor.prometheus`)."""

from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

#: Around a target of 20 ms.
LATENCY_BUCKETS = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)
EVENT_OUTCOMES = ("accepted", "duplicate", "rejected", "failed")  #: what becomes of posted events
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class ApiMetrics:
    """The API's metrics, in a registry of their own; the attributes are prometheus-client metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.requests = counter(
            "vitrine_api_requests_total", "Requests answered, by route and status.", ["route", "method", "status"]
        )
        self.seconds = histogram(
            "vitrine_api_request_seconds", "From a request's head to the end of its answer.", ["route"],
            buckets=LATENCY_BUCKETS,
        )  # fmt: skip
        self.batch = histogram("vitrine_api_batch_lists", "Lists that were worked out together.", buckets=BATCH_BUCKETS)
        self.lists = counter(
            "vitrine_api_lists_total", "Lists answered, by the source of their first place.", ["source"]
        )
        self.places = counter("vitrine_api_places_total", "Places of lists answered.", ["variant", "source", "reason"])
        #: Those of labels, kept: to find them takes prometheus-client longer than to count.
        self.requests_of, self.seconds_of = cache(self.requests.labels), cache(self.seconds.labels)
        self.lists_from, self.places_of = cache(self.lists.labels), cache(self.places.labels)
        self.attributed = counter(
            "vitrine_api_attributed_events_total",
            "Events that name a list, counted by this replica for all, by what became of them.",
            ["event_type", "outcome"],
        )
        self.touched = counter(
            "vitrine_api_touched_places_total",
            "Places of lists that were clicked, carted or bought, each once, counted by this replica for all.",
            ["what", "variant", "source", "reason"],
        )
        self.lost_lists = counter(
            "vitrine_api_list_failures_total", "Times that answered lists could not be written down or counted."
        )
        self.events = counter("vitrine_api_events_total", "Posted events by what became of them.", ["outcome"])
        for outcome in EVENT_OUTCOMES:  # from 0 on: Prometheus sees no increase in a series' first value
            self.events.labels(outcome)
        self.commit_seconds = histogram(
            "vitrine_api_commit_seconds", "Time in which posted events were made durable and delivered.",
            buckets=LATENCY_BUCKETS,
        )  # fmt: skip
        self.failures = counter(
            "vitrine_api_log_failures_total", "Times that the log of posted events could not be read."
        )
        self.sessions = gauge("vitrine_api_sessions", "Users with a session from posted events.")
        self.remembered = gauge("vitrine_api_event_ids", "Ids of posted events that are remembered.")
        self.bundle = Info("vitrine_bundle", "Model bundle in use.", registry=self.registry)
        self.refused = counter("vitrine_bundle_refused_total", "Damaged bundles refused in favour of the one in use.")
