"""What the stream tells of itself, by hand."""

from typing import Any

import pytest

from app.monitor.prometheus import StreamMetrics
from app.stream.score import Result
from app.stream.telemetry import Telemetry, quantiles

START = 1_700_000_000.0


@pytest.fixture
def telemetry() -> Telemetry:
    times = iter([START, START + 10])
    return Telemetry(StreamMetrics(), clock=lambda: next(times))


def result() -> Result:
    """Three lists of ten, all of unknown users; files that came 2 and 1 s before the micro-batch."""
    made = Result(
        {("unknown", "als"): [1, 10], ("unknown", "popularity"): [2, 20]},
        {("unknown", "blend"): [4, 2, 1.5], ("unknown", "most_popular"): [4, 1, 0.25]},
        short=1,
        retries=2,
        score_seconds=0.25,
        write_seconds=0.125,
        generated_at=START + 0.123,
    )
    made.arrived.update({START - 2: 1, START - 1: 2})
    return made


def test_points_and_metrics_of_a_micro_batch(telemetry: Telemetry) -> None:
    lines = telemetry.batch_lines(result(), "v1", START + 1, refused=1)
    moment = "1700000000123000000"
    assert sorted(lines) == [
        f"lists,generator=als,model_version=v1,segment=unknown lists=1i,places=10i {moment}",
        f"lists,generator=popularity,model_version=v1,segment=unknown lists=2i,places=20i {moment}",
        "quality,generator=blend,model_version=v1,segment=unknown "
        f"hits_10=2i,queries=4i,reciprocal_rank_sum=1.5 {moment}",
        "quality,generator=most_popular,model_version=v1,segment=unknown "
        f"hits_10=1i,queries=4i,reciprocal_rank_sum=0.25 {moment}",
        "stream_progress bundle_refusals=1i,freshness_max_seconds=3,freshness_p50_seconds=2,"
        "freshness_p95_seconds=3,influx_retries=2i,lists=3i,"
        f'model_version="v1",score_seconds=0.25,write_seconds=0.125 {moment}',
    ]
    value = telemetry.metrics.registry.get_sample_value
    assert value("vitrine_stream_lists_written_total", {"generator": "popularity"}) == 2
    assert value("vitrine_stream_freshness_seconds_bucket", {"le": "2.0"}) == 2
    assert value("vitrine_stream_freshness_seconds_bucket", {"le": "3.0"}) == 3
    assert value("vitrine_influx_retries_total") == 2
    assert value("vitrine_prequential_hits_total", {"segment": "unknown", "generator": "blend"}) == 2
    assert value("vitrine_stream_last_success_timestamp_seconds") == START + 1
    summary = telemetry.summary()
    assert (summary["lists"], summary["short_lists"], summary["queries"]) == (3, 1, 4)
    assert (summary["hr_10"], summary["hr_10_most_popular"]) == (0.5, 0.25)
    assert (summary["p50_s"], summary["p95_s"]) == (2, 3)
    assert summary["share_by_source"] == {"als": 1 / 3, "popularity": 2 / 3}
    assert summary["seconds"] == 10


def progress(**others: Any) -> dict[str, Any]:
    seen = {"rows": 5, "rejected": 1, "arrived": START - 1, "event_time": 1_569_888_000.5}
    return {
        "timestamp": "2023-11-14T22:13:20.250Z",
        "observedMetrics": {"lists_rows": seen},
        "stateOperators": [{"numRowsTotal": 7, "memoryUsedBytes": 800, "numRowsDroppedByWatermark": 2}],
        "durationMs": {"triggerExecution": 1500, "latestOffset": 200, "queryPlanning": 100},
        **others,
    }


def test_the_point_of_sparks_own_progress(telemetry: Telemetry) -> None:
    assert telemetry.progress_line("lists", progress()) == (
        "stream_progress batch_seconds=1.5,event_time_last=1569888000500i,late_rows=2i,read_seconds=0.3,"
        "rejected_rows=1i,rows=5i,state_bytes=800i,state_rows=7i 1700000000250000000"
    )
    value = telemetry.metrics.registry.get_sample_value
    assert [value(f"vitrine_stream_{name}_total") for name in ("events", "rejected_events", "late_events")] == [5, 1, 2]
    assert (value("vitrine_stream_state_rows"), value("vitrine_stream_state_bytes")) == (7, 800)
    assert telemetry.consumed == {"lists": START - 1}
    assert telemetry.summary()["state_rows"] == 7


def test_an_idle_trigger_and_another_query_write_no_point(telemetry: Telemetry) -> None:
    idle = {"rows": 0, "rejected": 0, "arrived": None, "event_time": None}
    assert telemetry.progress_line("lists", progress(observedMetrics={"lists_rows": idle})) is None
    assert telemetry.progress_line("lists", progress(observedMetrics={})) is None
    other = {"archive_rows": {"rows": 9, "rejected": 0, "arrived": START, "event_time": 1.0}}
    assert telemetry.progress_line("archive", progress(observedMetrics=other, stateOperators=[])) is None
    assert telemetry.totals["archive_rows"] == 9
    assert telemetry.consumed == {"archive": START}
    assert telemetry.summary()["events"] == 0  # counted by one query only


def test_quantiles_are_of_lists_not_of_files() -> None:
    ages = [(1.0, 98), (5.0, 1), (9.0, 1)]
    assert quantiles(ages, (0.5, 0.98, 0.985, 0.995, 1.0)) == [1, 1, 5, 9, 9]
    assert quantiles([], (0.5, 0.9)) == [None, None]
