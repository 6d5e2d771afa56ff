"""What the stream counts, and the points it writes of itself, by hand."""

import json
from typing import Any

import pytest

from app.monitor.prometheus import StreamMetrics
from app.stream import freshness
from app.stream.differences import Unaccounted
from app.stream.freshness import Freshness, ages, quantiles
from app.stream.points import accounts_line, batch_lines, progress_lines
from app.stream.progress import BatchProgress
from app.stream.score import Result
from app.stream.telemetry import Telemetry

START = 1_700_000_000.0


@pytest.fixture
def telemetry() -> Telemetry:
    times = iter([START, START + 10, START + 20])
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
        readable_at=START + 1,
    )
    made.arrived.update({START - 2: 1, START - 1: 2})
    return made


AGES = [(2.0, 2), (3.0, 1)]  # a second after the micro-batch's start


def test_ages_are_those_of_lists_when_they_can_be_read() -> None:
    assert ages(result().arrived, START + 1) == AGES
    assert ages({START + 9: 1}, START) == [(0.0, 1)]  # a clock that runs ahead


def test_points_of_a_micro_batch() -> None:
    lines = batch_lines(result(), "v1", AGES, refused=1)
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


def test_metrics_and_summary_of_a_micro_batch(telemetry: Telemetry) -> None:
    telemetry.scored(result(), AGES)
    telemetry.influx_retried()
    telemetry.set_aside()
    value = telemetry.metrics.registry.get_sample_value
    assert value("vitrine_stream_lists_written_total", {"generator": "popularity"}) == 2
    assert value("vitrine_stream_freshness_seconds_bucket", {"le": "2.0"}) == 2
    assert value("vitrine_stream_freshness_seconds_bucket", {"le": "3.0"}) == 3
    assert value("vitrine_influx_retries_total") == 3
    assert value("vitrine_prequential_hits_total", {"segment": "unknown", "generator": "blend"}) == 2
    assert value("vitrine_stream_last_success_timestamp_seconds") == START + 1
    summary = telemetry.summary()
    assert (summary.lists, summary.short_lists, summary.queries, summary.batches) == (3, 1, 4, 1)
    assert (summary.hr_10, summary.hr_10_most_popular) == (0.5, 0.25)
    assert (summary.p50_s, summary.p95_s) == (2, 3)
    assert summary.share_by_source == {"als": 1 / 3, "popularity": 2 / 3}
    assert (summary.influx_retries, summary.damaged_files) == (3, 1)
    assert summary.seconds == 10


def test_a_warm_up_is_forgotten(telemetry: Telemetry) -> None:
    telemetry.scored(result(), AGES)
    telemetry.progressed(progress(), 2)
    telemetry.forget()
    summary = telemetry.summary()
    assert (summary.lists, summary.events, summary.p50_s, summary.hr_10, summary.seconds) == (0, 0, None, None, 10)
    assert telemetry.rows() == 5  # what is committed is no figure


def test_refused_bundles_are_counted_once(telemetry: Telemetry) -> None:
    assert [telemetry.uses_bundle("a", refused) for refused in (0, 1, 1, 3)] == [0, 1, 0, 2]
    assert telemetry.metrics.registry.get_sample_value("vitrine_bundle_refused_total") == 3
    assert telemetry.metrics.registry.get_sample_value("vitrine_bundle_info", {"version": "a"}) == 1


def progress(**others: Any) -> BatchProgress:
    """As Spark's JSON has it."""
    seen = {"rows": 5, "rejected": 1, "event_time": 1_569_888_000.5}
    told = {
        "name": "lists",
        "batchId": 4,
        "timestamp": "2023-11-14T22:13:20.250Z",
        "observedMetrics": {"taken_in": seen},
        "stateOperators": [{"numRowsTotal": 7, "memoryUsedBytes": 800, "numRowsDroppedByWatermark": 1}],
        "durationMs": {"triggerExecution": 1500, "latestOffset": 200, "queryPlanning": 100},
        **others,
    }
    return BatchProgress.from_json(json.dumps(told))


def test_the_point_of_sparks_own_progress() -> None:
    assert progress_lines(progress(), 2) == [
        "stream_progress batch_seconds=1.5,event_time_last=1569888000500i,late_rows=2i,read_seconds=0.3,"
        "rejected_rows=1i,rows=5i,state_bytes=800i,state_rows=7i 1700000000250000000"
    ]


def test_the_point_of_the_accounts() -> None:
    assert accounts_line(Unaccounted(3, 2, 1), START) == (
        "stream_progress missing_accounts=1i,unaccounted_lists=2i,unaccounted_rows=3i 1700000000000000000"
    )


def test_sparks_own_progress_is_counted(telemetry: Telemetry) -> None:
    assert progress().dropped == 1  # Spark counts sessions, the accounts their late events
    telemetry.progressed(progress(), 2)
    value = telemetry.metrics.registry.get_sample_value
    assert [value(f"vitrine_stream_{name}_total") for name in ("events", "rejected_events", "late_events")] == [5, 1, 2]
    assert (value("vitrine_stream_state_rows"), value("vitrine_stream_state_bytes")) == (7, 800)
    assert telemetry.summary().state_rows == 7


def test_an_idle_trigger_writes_no_point(telemetry: Telemetry) -> None:
    nothing = {"rows": 0, "rejected": 0, "event_time": None}
    for idle in ({"taken_in": nothing}, {}, None):
        each = progress(observedMetrics=idle)
        telemetry.progressed(each, 0)
        assert progress_lines(each, 0) == []
    assert telemetry.rows() == 0


def test_rows_that_are_missed_are_a_metric(telemetry: Telemetry) -> None:
    telemetry.audited(Unaccounted(12, 5, 1))
    value = telemetry.metrics.registry.get_sample_value
    assert [value(f"vitrine_stream_unaccounted_{name}") for name in ("rows", "lists")] == [12, 5]
    assert value("vitrine_stream_missing_accounts") == 1
    assert telemetry.summary().unaccounted == 18


def test_quantiles_are_of_lists_not_of_files() -> None:
    files = [(9.0, 1), (1.0, 98), (5.0, 1)]
    assert quantiles(files, (0.5, 0.98, 0.985, 0.995, 1.0)) == [1, 1, 5, 9, 9]
    assert quantiles([], (0.5, 0.9)) == [None, None]


def test_only_the_latest_ages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "KEPT", 10)
    kept = Freshness()
    kept.add([(9.0, 8)])
    assert kept.quantiles((1.0,)) == [9]
    kept.add([(1.0, 6), (2.0, 3)])
    assert kept.quantiles((0.5, 1.0)) == [1, 2]
