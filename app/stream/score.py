"""Scoring a micro-batch where its sessions lie: lists out, figures back.

Each partition answers its sessions, judges the lists they had before (prequential quality), writes
its own files and InfluxDB points, and hands the driver sums. All it writes is named by micro-batch and
partition, so that a second try replaces the first.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import TaskContext

from app.core.worker_heap import settle
from app.events.forgotten import ForgottenUsers
from app.events.merged_users import merged_users
from app.monitor.influx import InfluxConfig, trying_again, write_lines
from app.monitor.schema import BASELINE, SERVED, recommendation_lines
from app.registry.bundle import Bundle
from app.registry.identities import Identities
from app.serve.lists import ARROW_SCHEMA, list_table
from app.serve.ragged import NONE
from app.serve.recommender import CHUNK, Answer
from app.serve.visits import Visitors
from app.stream.forgetting import without_earlier
from app.stream.lateness import Lateness
from app.stream.latest import LatestSessions
from app.stream.list_files import write_part
from app.stream.live import LiveSessions

UNKNOWN_SEGMENT = "unknown"
JUDGED_DEPTH = 10
#: Events judged in a partition of a micro-batch, drawn at random where there are more: judging all events of a busy
#: shop would take longer than answering them, and a sample is as good.
MOST_JUDGED = 10
RESULT_SCHEMA = "result string"
TASK = "vitrine.stream.task"  #: local property of a job: what `Scorer` is to do


@dataclass(frozen=True)
class Task:
    """What the scorer of a micro-batch needs to know; travels to the workers.

    `moment`: the micro-batch's own time, microseconds since 1970. `staging`: where the intake has written each
    user's latest event. `output`: whose forgotten users are strangers, and merged users one. `lateness`: who gets no
    list.
    """

    batch: int
    epoch: int
    moment: int
    bundle: Path
    staging: Path
    lists: Path
    csv: Path
    partitions: int
    top_k: int
    influx: InfluxConfig | None
    output: Path
    lateness: Lateness

    def to_json(self) -> str:
        """Without `influx`, whose token is none of the log's business."""
        return json.dumps(vars(self) | {"influx": None}, default=str)

    @classmethod
    def from_json(cls, text: str, influx: InfluxConfig | None) -> "Task":
        flat = json.loads(text)
        paths = {name: Path(flat[name]) for name in ("bundle", "staging", "lists", "csv", "output")}
        return cls(**flat | paths | {"influx": influx, "lateness": Lateness.parse(flat["lateness"])})


@dataclass
class Result:
    """Sums of a partition.

    `lists`: (segment, generator) → lists whose first place it filled, places it filled; `quality`:
    (segment, generator) → queries, hits in the first ten, sum of reciprocal ranks; `arrived`: arrival
    of a file (seconds since 1970) → lists that its events led to; `generated_at` and `readable_at`, when the lists
    were in their place, in seconds. `asked`: users of the whole micro-batch who must get a list, and `forgotten`, those
    of them who were forgotten meanwhile; `answered`: who got one, of `rows` rows in all.
    """

    lists: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    quality: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    arrived: Counter[float] = field(default_factory=Counter)
    short: int = 0  #: lists with fewer products than asked for
    retries: int = 0
    score_seconds: float = 0.0
    write_seconds: float = 0.0
    generated_at: float = 0.0
    readable_at: float = 0.0
    asked: int = 0
    forgotten: int = 0
    answered: int = 0
    rows: int = 0

    def add(self, other: "Result") -> None:
        for key, lists in other.lists.items():
            _add(self.lists, key, lists)
        for key, judged in other.quality.items():
            _add(self.quality, key, judged)
        self.arrived.update(other.arrived)
        for name in ("asked", "forgotten", "answered", "rows"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.short += other.short
        self.retries += other.retries
        self.score_seconds = max(self.score_seconds, other.score_seconds)
        self.write_seconds = max(self.write_seconds, other.write_seconds)
        self.generated_at = max(self.generated_at, other.generated_at)
        self.readable_at = max(self.readable_at, other.readable_at)

    def to_json(self) -> str:
        pairs = {name: list(getattr(self, name).items()) for name in ("lists", "quality", "arrived")}
        return json.dumps(vars(self) | pairs)

    @classmethod
    def from_json(cls, text: str) -> "Result":
        flat = json.loads(text)
        for name in ("lists", "quality"):
            flat[name] = {tuple(key): values for key, values in flat[name]}
        return cls(**(flat | {"arrived": Counter(dict(flat["arrived"]))}))


@lru_cache(maxsize=2)
def open_bundle(folder: Path) -> Bundle:
    """A worker's bundle; its checksums were verified by the driver."""
    return Bundle.open(folder, check=False)


@dataclass(frozen=True)
class Scorer:
    """The function that `mapInArrow` runs on rows of `live_sessions`, as `TASK` says.

    So the query is the same in every micro-batch: another for each would be planned beside it, which takes 30 ms.
    """

    influx: InfluxConfig | None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        task = context.getLocalProperty(TASK) if context else None
        if task is None:
            raise RuntimeError(f"a job over the stream's sessions without {TASK}")
        return scorer(Task.from_json(task, self.influx))(batches)


def scorer(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What answers the sessions of a partition, and yields a row of sums."""

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        result, tables, answered = Result(), [], []
        started = time.monotonic()
        latest = None
        who = Identities(ForgottenUsers(task.output).read(), merged_users(task.output).read())
        for every in batches:
            latest = latest or LatestSessions.read(task.staging)
            batch = without_earlier(every, who.forgotten)
            if len(batch) < len(every):
                result.forgotten += int(latest.are_current(every).sum() - latest.are_current(batch).sum())
            for start in range(0, len(batch), CHUNK):
                table, sessions = _score_chunk(task, batch.slice(start, CHUNK), latest, who, result)
                tables.append(table)
                answered.append(sessions)
        scored = time.monotonic()
        context = TaskContext.get()
        partition = context.partitionId() if context else 0
        if tables:
            _write(task, pa.concat_tables(tables), partition, result)
        if partition == 0:  # once for all of them, and after the lists, which somebody may wait for
            result.asked = LatestSessions.on_time(task.staging, task.lateness)
        result.readable_at = time.time()
        result.score_seconds, result.write_seconds = scored - started, time.monotonic() - scored
        for sessions, events in _sample(answered, [task.batch, partition]):  # lists are there: nobody waits
            _judge(open_bundle(task.bundle), who, sessions, events, result)
        settle(task.bundle)
        yield pa.RecordBatch.from_pydict({"result": [result.to_json()]})

    return score


def _score_chunk(
    task: Task, batch: pa.RecordBatch, latest: LatestSessions, who: Identities, result: Result
) -> tuple[pa.Table, LiveSessions]:
    """Lists of the sessions, as `ARROW_SCHEMA` and `segment`, and the sessions; sums go to `result`."""
    bundle = open_bundle(task.bundle)
    result.generated_at = task.moment / 1e6
    sessions = LiveSessions.of(batch, task.moment, bundle.recommender.parameters)
    current = np.flatnonzero(latest.are_current(batch))
    named = sessions.current(current)
    answer = bundle.recommender.recommend(_introduced(who, named, bundle), task.top_k)
    generated_at = datetime.fromtimestamp(task.moment / 1e6, UTC)
    table = list_table(bundle.recommender, named, answer, bundle.version, generated_at)
    segments = _segment_tags(answer.visits.segments)
    rows = np.nonzero(answer.lists.items != NONE)[0]
    _count_lists(answer, segments, result)
    arrivals = sessions.oldest_arrival()[current]  # a list is as old as the oldest file that led to it
    result.arrived.update(Counter(arrivals[np.isfinite(arrivals)].tolist()))
    result.answered += len(current)
    result.rows += len(table)
    return table.append_column("segment", pa.array(segments[rows])), sessions


def _introduced(who: Identities, visitors: Visitors, bundle: Bundle) -> Visitors:
    return who.introduced(visitors, bundle.recommender.users.ids, bundle.obeyed)


def _segment_tags(segments: NDArray[np.int32]) -> NDArray[np.str_]:
    """Ids, which stay; a name may change, and would be a series of its own each time."""
    return np.where(segments == NONE, UNKNOWN_SEGMENT, segments.astype(np.str_))


def _count_lists(answer: Answer, segments: NDArray[np.str_], result: Result) -> None:
    sources = answer.lists.sources
    for segment in np.unique(segments):
        chosen = sources[segments == segment]
        for number, generator in enumerate(answer.generators):
            counts = [int((chosen[:, 0] == number).sum()), int((chosen == number).sum())]
            if counts[1]:
                _add(result.lists, (str(segment), generator), counts)
    result.short += int((answer.lists.items[:, -1] == NONE).sum())


def _sample(answered: list[LiveSessions], seed: list[int]) -> Iterator[tuple[LiveSessions, NDArray[np.int64]]]:
    """Sessions, each with those of its events that are judged; the same at every try.

    Where there are many they are drawn from one of the tables, as likely as it is large: one question is cheaper
    than several.
    """
    judged = [sessions.judged() for sessions in answered]
    sizes = np.array([len(events) for events in judged])
    if sizes.sum() <= MOST_JUDGED:
        yield from ((sessions, events) for sessions, events in zip(answered, judged, strict=True) if len(events))
        return
    dice = np.random.default_rng(seed)
    drawn = dice.choice(len(sizes), p=sizes / sizes.sum())
    yield answered[drawn], np.sort(dice.permutation(judged[drawn])[:MOST_JUDGED])


def _judge(bundle: Bundle, who: Identities, sessions: LiveSessions, events: NDArray[np.int64], result: Result) -> None:
    """Was the product of each of these new events in the list that its session had just before?"""
    recommender = bundle.recommender
    visitors = sessions.visitors(events, sessions.events.times[events])
    answer = recommender.recommend(_introduced(who, visitors, bundle), JUDGED_DEPTH)
    segments = _segment_tags(answer.visits.segments)
    item = recommender.catalogue.positions(sessions.events.products[events])
    lists = {SERVED: answer.lists.items} | {
        name: answer.exclusions.first_allowed(part, JUDGED_DEPTH)
        for name, part in (answer.parts | {BASELINE: recommender.most_popular(len(events))}).items()
    }
    for generator, items in lists.items():
        found = (items == item[:, None]) & (item[:, None] != NONE)
        reciprocal = np.where(found.any(axis=1), 1 / (1 + found.argmax(axis=1)), 0.0)
        for segment in np.unique(segments):
            chosen = reciprocal[segments == segment]
            sums = [len(chosen), int((chosen > 0).sum()), float(chosen.sum())]
            _add(result.quality, (str(segment), generator), sums)


def _add(sums: dict, key: tuple[str, str], values: list) -> None:
    sums[key] = [a + b for a, b in zip(sums.get(key, [0] * len(values)), values, strict=True)]


def _write(task: Task, table: pa.Table, partition: int, result: Result) -> None:
    lists = table.select(ARROW_SCHEMA.names)
    write_part(lists, task.lists, task.csv, task.batch, task.epoch, partition)
    if task.influx is not None:
        points = pa.table(
            {
                "time": table["generated_at"],
                "segment": table["segment"],
                "generator": table["source"],
                "model_version": table["model_version"],
                "user_id": table["user_id"],
                "product_id": table["product_id"],
                "rank": table["rank"],
                "score": table["rec_score"],
                "price": table["avg_price"],
            }
        ).to_pandas()
        lines = recommendation_lines(points, partition, task.partitions)
        result.retries += write_lines(task.influx, lines, on_retry=_log_retry).retries


def _log_retry(reason: str) -> None:
    """Write to the executor's log."""
    print(trying_again(reason), file=sys.stderr, flush=True)
