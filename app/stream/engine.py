"""The running stream: three queries over the landing folder, from start to a graceful stop.

- `lists`: sessions in flight → lists, judged and written.
- `windows`: counts by window.
- `archive`: events as they came, for the next training.

Each has its own checkpoint and pace, so that counting and archiving never hold up a list.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from app.core import errors
from app.core.errors import VitrineError
from app.core.failures import failure_text
from app.core.folders import label_synthetic
from app.core.settings import Settings
from app.monitor.influx import InfluxWriter, check, influx_config
from app.monitor.prometheus import StreamMetrics
from app.stream.champion import Champion
from app.stream.damaged import set_aside
from app.stream.folders import StreamFolders
from app.stream.list_files import prune
from app.stream.score import BATCH_TIME, RESULT_SCHEMA, Result, Task, scorer
from app.stream.sessions import live_sessions, mark_current
from app.stream.sinks import archive_batch, upsert_windows, window_lines
from app.stream.source import ARRIVED, event_stream, takes_new_columns
from app.stream.telemetry import ARCHIVE_QUERY, LISTS_QUERY, WINDOWS_QUERY, Telemetry
from app.stream.windows import window_counts

STOP_WAIT = 20.0  #: seconds that the running micro-batches are given to end
COMMIT_WAIT = 0.5  #: seconds between a micro-batch's end and its commit, at the most
HOUSEKEEPING_SECONDS = 60.0
LANDING_MARGIN = 600.0  #: seconds: files so much older than the newest archived one may be deleted

OWN_ERROR = re.compile(r"app\.errors\.(\w+): (.+)")  #: an error of ours in a stack trace of Spark

STATE_PACKAGE = "org.apache.spark.sql.execution.streaming.state"

#: Spark configuration of the stream, beside that of every session.
SPARK_CONFIGURATION = {
    "spark.sql.streaming.stateStore.providerClass": f"{STATE_PACKAGE}.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.metricsEnabled": "true",
    "spark.sql.streaming.minBatchesToRetain": "10",
    # Killed amid its very first micro-batch, a stream leaves half a file there, and must start all the same.
    "spark.sql.streaming.verifyCheckpointDirectoryEmptyOnStart": "false",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.adaptive.enabled": "false",  # micro-batches are small: planning costs more than it gains
    "spark.scheduler.mode": "FAIR",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
}


class Stream:
    """The stream of one output folder.

    Call `start`, then `wait` until `stopping` is set; `telemetry` tells how it goes.
    """

    def __init__(self, spark: SparkSession, settings: Settings, say: Callable[[str], Any]):
        self.spark, self.settings, self.say = spark, settings, say
        self.folders = StreamFolders.of(settings)
        self.influx = influx_config(settings)
        if self.influx is None:
            say("no VITRINE_INFLUX_URL: writing files only")
        else:
            check(self.influx)
        self.folders.prepare()
        self.champion = Champion(self.folders.models, self.folders.batches, say)
        self.stopping = threading.Event()
        self.telemetry = Telemetry(StreamMetrics())
        self._queries: dict[str, StreamingQuery] = {}
        self._refused = 0  # bundles that metrics know of
        self._busy = {name: threading.Lock() for name in (LISTS_QUERY, WINDOWS_QUERY, ARCHIVE_QUERY)}
        self._listener = _Listener(self)

    def start(self) -> None:
        """Start all queries, and metrics where a port is set."""
        spark = self.spark
        spark.conf.set("spark.sql.shuffle.partitions", str(self.settings.stream_partitions))
        for key, value in SPARK_CONFIGURATION.items():
            if key.startswith("spark.sql."):
                spark.conf.set(key, value)
        spark.streams.addListener(self._listener)
        if self.settings.metrics_port is not None:
            self.telemetry.metrics.serve(self.settings.metrics_port)
        self._note_bundle(self.champion.bundle.version)
        for name in self._busy:
            self._start(name)
        self.say(f"bundle {self.champion.bundle.version} is in use; waiting for files in {self.folders.landing}")

    def _start(self, name: str) -> None:
        settings = self.settings
        events = event_stream(self.spark, settings, self.folders.landing).observe(
            f"{name}_rows",
            F.count("*").alias("rows"),
            F.count_if(F.col("reason").isNotNull()).alias("rejected"),
            F.max(F.col(ARRIVED).cast("double")).alias("arrived"),
            F.max(F.when(F.col("reason").isNull(), F.col("event_time"))).cast("double").alias("event_time"),
        )
        frame, handle, seconds, mode = {
            LISTS_QUERY: lambda: (
                live_sessions(events, settings).withColumn(BATCH_TIME, F.current_timestamp()),
                self._lists,
                settings.lists_seconds,
                "update",
            ),
            WINDOWS_QUERY: lambda: (window_counts(events, settings), self._windows, settings.windows_seconds, "update"),
            ARCHIVE_QUERY: lambda: (events, self._archive, settings.archive_seconds, "append"),
        }[name]()
        self._queries[name] = (
            frame.writeStream.queryName(name)
            .outputMode(mode)
            .option("checkpointLocation", str(self.folders.checkpoint(name)))
            .trigger(processingTime=f"{int(seconds * 1000)} milliseconds")
            .foreachBatch(self._guarded(name, handle))
            .start()
        )

    def _guarded(self, name: str, handle: Callable[[DataFrame, int], None]) -> Callable[[DataFrame, int], None]:
        def run(frame: DataFrame, batch: int) -> None:
            with self._busy[name]:
                if self.stopping.is_set():  # to return would commit the micro-batch undone
                    raise VitrineError("stopping; this micro-batch is done again at the next start")
                handle(frame, batch)

        return run

    def _lists(self, frame: DataFrame, batch: int) -> None:
        bundle = self.champion.for_batch(batch)
        task = Task(
            batch,
            bundle.folder,
            self.folders.lists,
            self.folders.csv,
            self.settings.stream_partitions,
            self.settings.top_k,
            self.influx,
        )
        result = Result()
        # One row of sums for each partition, never one for each session.
        sessions = mark_current(frame, self.settings.stream_partitions)
        for row in sessions.mapInArrow(scorer(task), RESULT_SCHEMA).collect():
            result.add(Result.from_json(row.result))
        refused = self._note_bundle(bundle.version)
        self._write(self.telemetry.batch_lines(result, bundle.version, time.time(), refused))
        for folder, suffix in ((self.folders.lists, ".parquet"), (self.folders.csv, ".csv")):
            prune(folder, batch, self.settings.keep_list_batches, self.settings.stream_partitions, suffix)

    def _note_bundle(self, version: str) -> int:
        """Say which bundle is in use; returns how many were refused since it was said last."""
        metrics = self.telemetry.metrics
        new = self.champion.refused - self._refused
        self._refused += new
        metrics.bundles_refused.inc(new)
        metrics.bundle.info({"version": version})
        return new

    def _windows(self, frame: DataFrame, batch: int) -> None:
        counts = frame.toArrow()  # bounded: windows still open × event types × main categories
        if len(counts):
            upsert_windows(counts, self.folders.windows)
            self._write(window_lines(counts))

    def _archive(self, frame: DataFrame, batch: int) -> None:
        if self.champion.bundle.manifest.get("synthetic"):
            label_synthetic(self.folders.archive)  # trained on a synthetic shop, so fed by one
        frame.persist()
        try:
            archive_batch(frame, self.folders.archive, self.folders.rejected, batch)
        finally:
            frame.unpersist()

    def _write(self, lines: list[str]) -> None:
        if self.influx is not None and lines:
            with InfluxWriter(self.influx, stop=self.stopping.is_set, on_retry=self._on_retry) as writer:
                written = writer.write(lines)
            self.telemetry.totals["retries"] += written.retries

    def _on_retry(self, reason: str) -> None:
        self.telemetry.metrics.influx_retries.inc()
        self.say(f"InfluxDB: {reason}; trying again, nothing is skipped")

    def progressed(self, name: str, progress: dict[str, Any]) -> None:
        """Spark has committed a micro-batch."""
        line = self.telemetry.progress_line(name, progress)
        if line is not None:
            self._write([line])

    def wait(self, every: float = 5.0, tell: Callable[[dict[str, Any]], Any] = lambda summary: None) -> None:
        """Until `stopping` is set or a query fails for good; `tell` gets a summary now and then.

        A file that can't be read is moved to `damaged`, and the query goes on without it.

        Raises
        ------
        VitrineError
            A query failed.
        """
        told = cleaned = time.monotonic()
        while not self.stopping.wait(0.2):
            for name, query in list(self._queries.items()):
                if not query.isActive:
                    self._restart(name, query)
            now = time.monotonic()
            if now - told >= every:
                told = now
                tell(self.telemetry.summary())
            if self.settings.clean_landing and now - cleaned >= HOUSEKEEPING_SECONDS:
                cleaned = now
                self._clean_landing()

    def _restart(self, name: str, query: StreamingQuery) -> None:
        error = query.exception()
        if error is None:
            raise VitrineError(f"query {name} ended by itself; start the stream again, it goes on where it was")
        if takes_new_columns(error, self.settings, self.folders.landing):
            self._start(name)
            return
        moved = set_aside(error, self.folders)
        if moved is None:
            own = OWN_ERROR.search(failure_text(error))
            raise getattr(errors, own.group(1))(own.group(2)) if own else error
        self.telemetry.totals["damaged"] += 1
        self.say(f"{moved.name} cannot be read: moved to {moved}; the stream goes on without it")
        self._start(name)

    def _clean_landing(self) -> None:
        consumed = self.telemetry.consumed
        if len(consumed) < len(self._busy):
            return
        done = min(consumed.values()) - LANDING_MARGIN
        for path in self.folders.landing.iterdir():
            if path.is_file() and not path.name.startswith((".", "_")) and _arrived(path) < done:
                path.unlink()

    def stop(self) -> None:
        """End after the running micro-batches; what is cut short is done again at the next start."""
        self.stopping.set()
        until = time.monotonic() + STOP_WAIT
        for name, query in self._queries.items():
            if self._busy[name].acquire(timeout=max(0.0, until - time.monotonic())):
                self._busy[name].release()
                time.sleep(COMMIT_WAIT)
            query.stop()
        self.spark.streams.removeListener(self._listener)


def _arrived(path: Path) -> float:
    """When a file came: a rename keeps the time of its content, and sets that of its inode."""
    stat = path.stat()
    return max(stat.st_mtime, stat.st_ctime)


class _Listener(StreamingQueryListener):
    """Hands Spark's progress to the stream."""

    def __init__(self, stream: Stream):
        self._stream = stream

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        pass

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        progress = json.loads(event.progress.json)
        if progress.get("name") in self._stream._busy:
            try:
                self._stream.progressed(progress["name"], progress)
            except VitrineError as error:  # stopping while InfluxDB is away: a health figure is lost, no data
                self._stream.say(str(error))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        pass
