"""Metrics as a Prometheus server would scrape them."""

import re
import socket
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.core.errors import InputError
from app.monitor.prometheus import StreamMetrics


@pytest.fixture
def metrics() -> StreamMetrics:
    """A stream after one micro-batch."""
    metrics = StreamMetrics()
    metrics.events.inc(1000)
    metrics.rejected_events.inc(3)
    metrics.lists_written.labels("als").inc(40)
    metrics.state_rows.set(7)
    metrics.state_bytes.set(4096)
    metrics.bundle.info({"version": "20260102_030405"})
    metrics.bundles_refused.inc()
    metrics.influx_retries.inc(2)
    metrics.judged("0", "blend", queries=10, hits=4, reciprocal_ranks=2.5)
    metrics.batch_done(1.25, at=1_767_323_045.5, freshness=[(1.2, 100), (3.0, 20), (400.0, 1)])
    return metrics


@pytest.fixture
def scraped(metrics: StreamMetrics) -> Iterator[list[Metric]]:
    server = metrics.serve(0, "127.0.0.1")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=5) as answer:
        yield list(text_string_to_metric_families(answer.read().decode()))
    server.shutdown()
    server.server_close()


def samples(scraped: list[Metric]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in scraped for s in family.samples}


def test_values(scraped: list[Metric]) -> None:
    values = samples(scraped)
    segment = (("generator", "blend"), ("segment", "0"))
    expected = {
        ("vitrine_stream_events_total", ()): 1000,
        ("vitrine_stream_rejected_events_total", ()): 3,
        ("vitrine_stream_late_events_total", ()): 0,
        ("vitrine_stream_lists_written_total", (("generator", "als"),)): 40,
        ("vitrine_stream_state_rows", ()): 7,
        ("vitrine_stream_state_bytes", ()): 4096,
        ("vitrine_stream_last_success_timestamp_seconds", ()): 1_767_323_045.5,
        ("vitrine_bundle_info", (("version", "20260102_030405"),)): 1,
        ("vitrine_bundle_refused_total", ()): 1,
        ("vitrine_influx_retries_total", ()): 2,
        ("vitrine_prequential_queries_total", segment): 10,
        ("vitrine_prequential_hits_total", segment): 4,
        ("vitrine_prequential_reciprocal_ranks_total", segment): 2.5,
        ("vitrine_stream_batch_duration_seconds_count", ()): 1,
        ("vitrine_stream_batch_duration_seconds_sum", ()): 1.25,
        ("vitrine_stream_freshness_seconds_count", ()): 121,
        ("vitrine_stream_freshness_seconds_sum", ()): 120 + 60 + 400,
        ("vitrine_stream_freshness_seconds_bucket", (("le", "1.0"),)): 0,
        ("vitrine_stream_freshness_seconds_bucket", (("le", "1.5"),)): 100,
        ("vitrine_stream_freshness_seconds_bucket", (("le", "3.0"),)): 120,  # a bound belongs to its bucket
        ("vitrine_stream_freshness_seconds_bucket", (("le", "300.0"),)): 120,
        ("vitrine_stream_freshness_seconds_bucket", (("le", "+Inf"),)): 121,
    }
    assert {key: values.get(key) for key in expected} == expected


def test_names_follow_the_conventions(scraped: list[Metric]) -> None:
    assert len(scraped) >= 14
    for family in scraped:
        for sample in family.samples:
            assert re.fullmatch(r"vitrine_[a-z]+(_[a-z]+)*", sample.name), sample.name
            assert not {"user_id", "product_id"} & sample.labels.keys()
        assert family.documentation.endswith("."), family.name
        assert not re.search("_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", family.name), family.name
        if family.name.endswith("_created"):
            continue
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert names == {f"{family.name}_total"}
        elif family.type == "histogram":
            assert family.name.endswith("_seconds")
        elif family.type == "gauge":
            assert not any(name.endswith(("_total", "_count", "_sum")) for name in names)


def test_two_streams_do_not_share_their_metrics(metrics: StreamMetrics) -> None:
    assert StreamMetrics().registry.get_sample_value("vitrine_stream_events_total") == 0
    assert metrics.registry.get_sample_value("vitrine_stream_events_total") == 1000


def test_a_port_that_another_has_is_refused_in_one_line(metrics: StreamMetrics) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"^port {port} for metrics: Address already in use; give --metrics-port"):
            metrics.serve(port, "127.0.0.1")
