"""Scoring a micro-batch, without Spark: prequential sums by hand, files, and a second try."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from app.events.forgotten import ForgottenUsers
from app.monitor.influx import InfluxConfig
from app.monitor.schema import BASELINE, SERVED
from app.stream.lateness import HOUR, Lateness
from app.stream.latest import LatestEvents
from app.stream.score import MOST_JUDGED, Result, Task, scorer
from tests.stream.shop import ANNA, START, recommender, write_bundle
from tests.stream.test_live import EVENT

MICROS = pa.timestamp("us", tz="UTC")
WINDOW = pa.struct([("start", MICROS), ("end", MICROS)])
BATCH = datetime(2024, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
EARLIER = datetime(2024, 5, 6, tzinfo=UTC)
ARRIVED = datetime(2024, 5, 6, 7, 8, 8, tzinfo=UTC)


def rows(*sessions: tuple[int, list[tuple[int, bool]], bool], kinds: Sequence[str] = ("view",)) -> pa.RecordBatch:
    """User, (product, new) a second apart, of `kinds` in turn, whether the user's current session.

    A current session's name is "now"; see `run`.
    """
    micros = lambda moment: int(moment.timestamp() * 1_000_000)  # noqa: E731
    events = [
        [
            {
                "event_time": micros(START) + second * 1_000_000,
                "product_id": product,
                "event_type": kinds[second % len(kinds)],
                "seen_at": micros(BATCH if new else EARLIER),
                "arrived_at": micros(ARRIVED),
            }
            for second, (product, new) in enumerate(viewed)
        ][::-1]
        for _, viewed, _ in sessions
    ]
    return pa.RecordBatch.from_pydict(
        {
            "user_id": pa.array([user for user, _, _ in sessions], pa.int64()),
            "events": pa.array(events, pa.list_(EVENT)),
            "session": pa.array(["now" if current else "old" for _, _, current in sessions]),
            "window": pa.array([{"start": START, "end": START + timedelta(hours=6)}] * len(sessions), WINDOW),
            "given": pa.array([True] * len(sessions)),
        }
    )


def task(folder: Path, weights: dict[str, float]) -> Task:
    return task_of(write_bundle(folder / "models", "a", recommender(weights=weights)), folder)


def task_of(bundle: Path, folder: Path) -> Task:
    for name in ("lists", "csv", "staging"):
        (folder / name).mkdir()
    return Task(
        7,
        1,
        int(BATCH.timestamp() * 1_000_000),
        bundle,
        folder / "staging",
        folder / "lists",
        folder / "csv",
        2,
        10,
        None,
        folder,
        Lateness(0, 6 * HOUR),
    )


def run(job: Task, *batches: pa.RecordBatch) -> Result:
    told = LatestEvents()
    for batch in batches:
        now = batch.filter(pc.equal(batch["session"], "now"))
        moments = pa.array([START] * len(now), MICROS)
        columns = {"user_id": now["user_id"], "session": now["session"]}
        told.add(pa.RecordBatch.from_pydict(columns | {"event_time": moments, "arrived_at": moments}))
    told.write(job.staging, 0)
    (answer,) = scorer(job)(iter(batches))
    return Result.from_json(answer.column("result")[0].as_py())


def test_a_task_travels_without_the_token(tmp_path: Path) -> None:
    """Local properties of jobs are in Spark's own log."""
    influx = InfluxConfig(url="http://localhost:8086", org="shop", bucket="shop", token="secret")
    job = replace(task(tmp_path, {"popularity": 1.0}), influx=influx)
    text = job.to_json()
    assert "secret" not in text
    assert Task.from_json(text, influx) == job


def test_prequential_sums_by_hand(tmp_path: Path) -> None:
    """Popularity alone serves; strangers.

    User 1: before its first event the list is 100, 101, …: 100 is first (1). Then category a without 100:
    101, …: 105 is fifth (1/5). Then 125 of category b is not among ten of a (0).
    User 2: 120 is not among the ten bestsellers (0). Then category b without 120: 115, 116, 117, 118, 119,
    121: sixth (1/6). Most popular knows no category: 121 is not there (0).
    """
    first = [(100, True), (105, True), (125, True)]
    result = run(
        task(tmp_path, {"popularity": 1.0}), rows((1, first, True)), rows((2, [(120, True), (121, True)], True))
    )
    assert result.quality[("unknown", SERVED)] == [5, 3, pytest.approx(1 + 1 / 5 + 1 / 6)]
    assert result.quality[("unknown", BASELINE)] == [5, 2, pytest.approx(1 + 1 / 5)]
    assert result.quality[("unknown", "popularity")] == result.quality[("unknown", SERVED)]
    # What goes with 100 is 101 … 105 (fifth), with 105 is 106 … 110, with 120 is 121 (first).
    assert result.quality[("unknown", "covisitation")] == [5, 2, pytest.approx(1 / 5 + 1)]


def test_an_event_of_an_earlier_micro_batch_is_not_judged_again(tmp_path: Path) -> None:
    result = run(task(tmp_path, {"popularity": 1.0}), rows((1, [(100, False), (105, True)], True)))
    assert result.quality[("unknown", SERVED)] == [1, 1, pytest.approx(1 / 5)]


def test_of_very_many_events_a_sample_is_judged_the_same_at_every_try(tmp_path: Path) -> None:
    """Half of the sessions go on with a hit, half without one."""
    job = task(tmp_path, {"covisitation": 1.0, "popularity": 0.3})
    # What goes with 100 is 101 …
    sessions = [(user, [(100, False), (101 if user % 2 else 125, True)], True) for user in range(1, 1001)]
    batches = [rows(*sessions[start : start + 300]) for start in range(0, 1000, 300)]
    result = run(job, *batches)
    queries, hits, _ = result.quality[("unknown", SERVED)]
    assert queries == MOST_JUDGED
    assert 0.2 < hits / queries < 0.8
    assert result.quality == run(job, *batches).quality
    assert sum(first for first, _ in result.lists.values()) == 1000  # all are answered
    assert (result.asked, result.forgotten, result.answered, result.rows) == (1000, 0, 1000, 10_000)


def test_every_session_is_judged_but_only_the_current_one_gets_a_list(tmp_path: Path) -> None:
    job = task(tmp_path, {"covisitation": 1.0, "popularity": 0.3})
    result = run(job, rows((ANNA, [(100, True)], False), (ANNA, [(120, True)], True)))
    assert sum(queries for (_, name), (queries, *_) in result.quality.items() if name == SERVED) == 2
    assert set(result.quality) == {("0", name) for name in (SERVED, BASELINE, "covisitation", "popularity")}
    assert result.arrived == {ARRIVED.timestamp(): 1}
    assert sum(first for first, _ in result.lists.values()) == 1
    assert sum(places for _, places in result.lists.values()) == 10
    lists = pq.read_table(tmp_path / "lists" / "batch-000000007-e000001-000.parquet")
    assert 121 in lists["product_id"].to_pylist()  # what goes with 120
    assert 120 not in lists["product_id"].to_pylist()
    assert set(lists["generated_at"].to_pylist()) == {BATCH}


def test_what_a_worker_has_loaded_is_passed_over_by_garbage_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark's daemon collects after every task: once a bundle has answered, there is next to nothing to look at."""
    frozen: list[int] = []
    monkeypatch.setattr("app.core.worker_heap.gc.freeze", lambda: frozen.append(1))
    job = task(tmp_path, {"popularity": 1.0})
    run(job, rows((1, [(100, True)], True)))
    assert frozen  # maybe once more, if modules were imported since
    run(job, rows((1, [(100, True)], True)))
    before = len(frozen)
    run(job, rows((1, [(100, True)], True)))
    assert len(frozen) == before


def test_a_second_try_leaves_what_one_try_leaves(tmp_path: Path) -> None:
    job = task(tmp_path, {"covisitation": 1.0, "popularity": 0.3})
    batch = rows(*((user, [(100 + user % 30, True)], True) for user in range(1, 50)))
    run(job, batch)
    names = sorted(path for path in tmp_path.glob("*/batch*"))
    before = [path.read_bytes() for path in names]
    assert len(names) == 2
    run(job, batch)
    assert sorted(path for path in tmp_path.glob("*/batch*")) == names
    assert [path.read_bytes() for path in names] == before
    assert len(pq.read_table(names[-1] if names[-1].suffix == ".parquet" else names[0])) == 490


def test_who_must_get_a_list_is_not_who_got_one(tmp_path: Path) -> None:
    """Three users have come; the session of one is lost on its way, and one was forgotten meanwhile."""
    job = task(tmp_path, {"popularity": 1.0})
    every = rows(*((user, [(100, True)], True) for user in (1, 2, 3)), (3, [(101, True)], False))
    run(job, every)
    ForgottenUsers(tmp_path).forget(3, START.timestamp() + 1)
    (answer,) = scorer(job)(iter([every.slice(1)]))
    result = Result.from_json(answer.column("result")[0].as_py())
    assert (result.asked, result.forgotten, result.answered, result.rows) == (3, 1, 1, 10)


def test_nothing_to_score_writes_nothing(tmp_path: Path) -> None:
    result = run(task(tmp_path, {"popularity": 1.0}))
    assert (result.lists, result.quality) == ({}, {})
    assert (result.asked, result.answered, result.rows) == (0, 0, 0)
    assert list(tmp_path.glob("*/batch*")) == []


def test_sums_of_partitions_add_up() -> None:
    one = Result({("a", "x"): [1, 10]}, {("a", "x"): [2, 1, 0.5]}, short=1, retries=2, score_seconds=1.0)
    other = Result({("a", "x"): [2, 20], ("b", "x"): [1, 9]}, {("a", "x"): [1, 1, 1.0]}, short=1, score_seconds=3.0)
    one.asked, one.answered, other.answered, other.rows, other.forgotten = 7, 2, 3, 30, 1
    other.arrived.update({10.5: 3})
    one.add(Result.from_json(other.to_json()))
    assert one.lists == {("a", "x"): [3, 30], ("b", "x"): [1, 9]}
    assert one.quality == {("a", "x"): [3, 2, 1.5]}
    assert one.arrived == {10.5: 3}
    assert (one.asked, one.forgotten, one.answered, one.rows) == (7, 1, 5, 30)
    assert (one.short, one.retries, one.score_seconds) == (2, 2, 3.0)  # the slowest partition's seconds
