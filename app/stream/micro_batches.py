"""Handles a micro-batch: lists, then archive, then metrics.

All that is written is named by the micro-batch's number and the stream's epoch, so that a second try replaces
what the first one wrote.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from app.core.folders import label_synthetic
from app.core.lease import Lease
from app.core.settings import Settings
from app.events.archive_names import BatchRange
from app.stream.account_files import Account
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.champion import Champion
from app.stream.checkpoints import session_keys
from app.stream.epoch import Epoch, batch_time
from app.stream.first_edition import known_files
from app.stream.folders import StreamFolders
from app.stream.freshness import ages
from app.stream.intake import set_job_properties, take_in
from app.stream.lateness import Lateness
from app.stream.points import PointSink, batch_lines
from app.stream.progress import observed
from app.stream.score import RESULT_SCHEMA, TASK, Result, Scorer, Task
from app.stream.sessions import live_sessions
from app.stream.source_log import listed_files
from app.stream.telemetry import Telemetry
from app.stream.vanished import vanished
from app.stream.window_counter import WindowCounter


@dataclass(frozen=True)
class MicroBatches:
    """The stream's one query: the sessions it keeps, and the handling of each micro-batch."""

    spark: SparkSession
    settings: Settings
    folders: StreamFolders
    lease: Lease
    epoch: Epoch
    champion: Champion
    archive: Archive
    accounts: Accounts
    windows: WindowCounter
    telemetry: Telemetry
    points: PointSink
    say: Callable[[str], Any]

    def frame(self, events: DataFrame) -> DataFrame:
        """Sums of the lists of sessions that changed, of the rows of `app.stream.source.event_stream`."""
        known, output = known_files(self.epoch.folder), self.settings.output.absolute()
        taken = take_in(observed(events), self.settings.window_minutes, known, output)
        sessions = live_sessions(taken, self.settings, session_keys(self.epoch.checkpoint))
        return sessions.mapInArrow(Scorer(self.points.config), RESULT_SCHEMA)

    def handle(self, frame: DataFrame, batch: int) -> None:
        """Answer the sessions of a micro-batch, each partition where it lies, and archive its events."""
        self.lease.check()
        part = BatchRange(batch, batch, self.epoch.number)
        bundle = self.champion.for_batch(batch)
        staging = self.archive.stage(part)
        moment = batch_time(self.epoch.checkpoint, batch)
        lateness = Lateness.of_batch(self.epoch.checkpoint, batch, self.settings.session_window_hours)
        set_job_properties(self.spark.sparkContext, staging, moment, lateness)
        task = self._task(frame, bundle.folder, batch, moment, staging, lateness)
        self.spark.sparkContext.setLocalProperty(TASK, task.to_json())
        result = Result()
        for row in frame.collect():  # one of sums for each partition, never one for each session
            result.add(Result.from_json(row.result))
        old = ages(result.arrived, result.readable_at)
        refused = self.telemetry.uses_bundle(bundle.version, self.champion.refused)
        lines = batch_lines(result, bundle.version, old, refused)
        self._keep(part, staging, lines, result)
        self.telemetry.scored(result, old)
        self.points.write(lines)

    def _keep(self, part: BatchRange, staging: Path, lines: list[str], result: Result) -> None:
        self.lease.check()
        if self.champion.bundle.manifest.synthetic:
            label_synthetic(self.folders.archive)  # trained on a synthetic shop, so fed by one
        counts = self.archive.commit(staging, part, time.time(), lines, answered=result.answered > 0)
        gone = vanished(listed_files(self.epoch.checkpoint, part.first), counts.files, self.folders)
        for path in gone:
            self.say(f"{path}: gone before it was read; micro-batch {part.first} has nothing of it")
        self.telemetry.vanished(len(gone))
        self.accounts.write(Account.of(part.first, counts, result, len(gone)))
        self.windows.archived(part, counts.sums)

    def _task(self, frame: DataFrame, bundle: Path, batch: int, moment: int, staging: Path, lateness: Lateness) -> Task:
        # From the query's own session: the number the checkpoint was made with, whatever the setting is now.
        partitions = frame.sparkSession.conf.get("spark.sql.shuffle.partitions")
        return Task(
            batch,
            self.epoch.number,
            moment,
            bundle,
            staging,
            self.folders.lists,
            self.folders.csv,
            int(partitions or 1),
            self.settings.top_k,
            self.points.config,
            self.settings.output.absolute(),
            lateness,
        )
