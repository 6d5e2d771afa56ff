"""The stream's three queries: what each keeps of the events, and what it does with a micro-batch.

- `lists`: sessions in flight → lists, judged and written.
- `windows`: counts by window.
- `archive`: events as they came, for the next training.

All that a micro-batch writes is named by its number or by what it is about: tried again, it replaces
what it wrote the first time.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.folders import label_synthetic
from app.core.settings import Settings
from app.stream.archive import archive_batch
from app.stream.champion import Champion
from app.stream.folders import StreamFolders
from app.stream.freshness import ages
from app.stream.list_files import prune
from app.stream.points import PointSink, batch_lines
from app.stream.progress import ARCHIVE_QUERY, LISTS_QUERY, WINDOWS_QUERY
from app.stream.score import BATCH_TIME, RESULT_SCHEMA, Result, Task, scorer
from app.stream.sessions import live_sessions, mark_current
from app.stream.telemetry import Telemetry
from app.stream.window_files import upsert_windows, window_lines
from app.stream.windows import window_counts


class Query(Protocol):
    """One of the queries.

    `mode` is Spark's output mode; `seconds` the least time between two micro-batches.
    """

    name: ClassVar[str]
    mode: ClassVar[str]

    @property
    def seconds(self) -> float: ...

    def frame(self, events: DataFrame) -> DataFrame:
        """What the query keeps of the events of `app.stream.source.event_stream`."""
        ...

    def handle(self, frame: DataFrame, batch: int) -> None:
        """Do what is to be done with the rows of a micro-batch."""
        ...


@dataclass(frozen=True)
class ListsQuery:
    """Scores the sessions that changed, each partition where it lies."""

    settings: Settings
    folders: StreamFolders
    champion: Champion
    telemetry: Telemetry
    points: PointSink
    name: ClassVar[str] = LISTS_QUERY
    mode: ClassVar[str] = "update"

    @property
    def seconds(self) -> float:
        return self.settings.lists_seconds

    def frame(self, events: DataFrame) -> DataFrame:
        return live_sessions(events, self.settings).withColumn(BATCH_TIME, F.current_timestamp())

    def handle(self, frame: DataFrame, batch: int) -> None:
        bundle = self.champion.for_batch(batch)
        result = self._score(frame, self._task(bundle.folder, batch))
        readable_at = time.time()
        old = ages(result.arrived, readable_at)
        refused = self.telemetry.uses_bundle(bundle.version, self.champion.refused)
        self.telemetry.scored(result, old, readable_at)
        self.points.write(batch_lines(result, bundle.version, old, refused))
        for folder, suffix in ((self.folders.lists, ".parquet"), (self.folders.csv, ".csv")):
            prune(folder, batch, self.settings.keep_list_batches, self.settings.stream_partitions, suffix)

    def _task(self, bundle: Path, batch: int) -> Task:
        return Task(
            batch,
            bundle,
            self.folders.lists,
            self.folders.csv,
            self.settings.stream_partitions,
            self.settings.top_k,
            self.points.config,
        )

    def _score(self, frame: DataFrame, task: Task) -> Result:
        result = Result()
        sessions = mark_current(frame, task.partitions)
        # One row of sums for each partition, never one for each session.
        for row in sessions.mapInArrow(scorer(task), RESULT_SCHEMA).collect():
            result.add(Result.from_json(row.result))
        return result


@dataclass(frozen=True)
class WindowsQuery:
    """Keeps the counts of windows up to date."""

    settings: Settings
    folders: StreamFolders
    points: PointSink
    name: ClassVar[str] = WINDOWS_QUERY
    mode: ClassVar[str] = "update"

    @property
    def seconds(self) -> float:
        return self.settings.windows_seconds

    def frame(self, events: DataFrame) -> DataFrame:
        return window_counts(events, self.settings)

    def handle(self, frame: DataFrame, batch: int) -> None:
        counts = frame.toArrow()  # bounded: windows still open × event types × main categories
        if len(counts):
            upsert_windows(counts, self.folders.windows)
            self.points.write(window_lines(counts))


@dataclass(frozen=True)
class ArchiveQuery:
    """Keeps the events, and the rows that can't be any."""

    settings: Settings
    folders: StreamFolders
    champion: Champion
    name: ClassVar[str] = ARCHIVE_QUERY
    mode: ClassVar[str] = "append"

    @property
    def seconds(self) -> float:
        return self.settings.archive_seconds

    def frame(self, events: DataFrame) -> DataFrame:
        return events

    def handle(self, frame: DataFrame, batch: int) -> None:
        if self.champion.bundle.synthetic:
            label_synthetic(self.folders.archive)  # trained on a synthetic shop, so fed by one
        frame.persist()
        try:
            archive_batch(frame, self.folders.archive, self.folders.rejected, batch)
        finally:
            frame.unpersist()
