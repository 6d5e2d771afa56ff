"""The running stream: the lives of its queries over the landing folder, from start to a graceful stop.

Each query has its own checkpoint and pace, so that counting and archiving never hold up a list.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from app.core.errors import VitrineError
from app.core.failures import of_the_system, own_error
from app.core.settings import Settings
from app.monitor.influx import check, influx_config
from app.monitor.prometheus import StreamMetrics
from app.registry.registry import Registry
from app.stream.champion import Champion
from app.stream.checkpoints import refusal
from app.stream.damaged import set_aside
from app.stream.folders import StreamFolders
from app.stream.housekeeping import clean_landing
from app.stream.points import PointSink, progress_lines
from app.stream.progress import BatchProgress, ProgressListener, observed
from app.stream.queries import ArchiveQuery, ListsQuery, Query, WindowsQuery
from app.stream.source import event_stream, takes_new_columns
from app.stream.telemetry import StreamSummary, Telemetry

STOP_WAIT = 20.0  #: seconds that the running micro-batches are given to end
COMMIT_WAIT = 0.5  #: seconds between a micro-batch's end and its commit, at the most
HOUSEKEEPING_SECONDS = 60.0

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

    Call `start`, then `wait` until `stopping` is set, then `stop`; `telemetry` tells how it goes.

    Parameters
    ----------
    spark
        Session, made with `SPARK_CONFIGURATION`.
    settings
        Folders, paces, InfluxDB, port of the metrics.
    say
        Gets a line about what happens.

    Raises
    ------
    InputError
        Nothing is published, or InfluxDB is set and can't be written to.
    BundleError
        No published bundle is whole.
    """

    def __init__(self, spark: SparkSession, settings: Settings, say: Callable[[str], Any]):
        self.spark, self.settings, self.say = spark, settings, say
        self.folders = StreamFolders.of(settings)
        influx = influx_config(settings)
        if influx is None:
            say("no VITRINE_INFLUX_URL: writing files only")
        else:
            check(influx)
        self.folders.prepare()
        self.stopping = threading.Event()
        self.telemetry = Telemetry(StreamMetrics())
        self.points = PointSink(influx, self.stopping.is_set, self.telemetry.influx_retried, say)
        self.champion = Champion(Registry(self.folders.models), self.folders.batches, settings, say)
        queries: list[Query] = [
            ListsQuery(settings, self.folders, self.champion, self.telemetry, self.points),
            WindowsQuery(settings, self.folders, self.points),
            ArchiveQuery(settings, self.folders, self.champion),
        ]
        self._runs = {query.name: _Run(query, self.folders, self.stopping) for query in queries}
        self._listener = ProgressListener(self._progressed)

    def start(self) -> None:
        """Start all queries, and metrics where a port is set.

        Raises
        ------
        InputError
            A checkpoint that this edition can't go on from.
        """
        spark = self.spark
        spark.conf.set("spark.sql.shuffle.partitions", str(self.settings.stream_partitions))
        for key, value in SPARK_CONFIGURATION.items():
            if key.startswith("spark.sql."):
                spark.conf.set(key, value)
        spark.streams.addListener(self._listener)
        if self.settings.metrics_port is not None:
            self.telemetry.metrics.serve(self.settings.metrics_port)
        self.telemetry.uses_bundle(self.champion.bundle.version, self.champion.refused)
        events = self._events()  # made once: it looks at the landing folder, and its plan is long
        for run in self._runs.values():
            run.start(events)
        self.say(f"bundle {self.champion.bundle.version} is in use; waiting for files in {self.folders.landing}")

    def wait(self, every: float = 5.0, tell: Callable[[StreamSummary], Any] = lambda summary: None) -> None:
        """Until `stopping` is set or a query fails for good; `tell` gets a summary every so many seconds.

        A file that can't be read is moved to `damaged`, and the query goes on without it.

        Raises
        ------
        VitrineError
            A query failed with one of our errors, or can't go on from its checkpoint.
        Exception
            A query failed with another, as it was raised.
        """
        told = cleaned = time.monotonic()
        while not self.stopping.wait(0.2):
            for run in self._runs.values():
                if not run.is_active():
                    self._recover(run)
            now = time.monotonic()
            if now - told >= every:
                told = now
                tell(self.telemetry.summary())
            if self.settings.clean_landing and now - cleaned >= HOUSEKEEPING_SECONDS:
                cleaned = now
                consumed = self.telemetry.consumed()
                if len(consumed) == len(self._runs):
                    clean_landing(self.folders.landing, consumed.values())

    def stop(self) -> None:
        """End after the running micro-batches; what is cut short is done again at the next start."""
        self.stopping.set()
        until = time.monotonic() + STOP_WAIT
        for run in self._runs.values():
            run.stop(until)
        self.spark.streams.removeListener(self._listener)

    def _events(self) -> DataFrame:
        return event_stream(self.spark, self.settings, self.folders.landing)

    def _recover(self, run: "_Run") -> None:
        """Start a query again that met a damaged file or new columns; raises what it failed with otherwise."""
        error = run.failure()
        if takes_new_columns(error, self.settings, self.folders.landing):
            run.start(self._events())
            return
        moved = set_aside(error, self.folders)
        if moved is None:
            told = own_error(error) or of_the_system(error) or refusal(error, run.query.name, self.folders)
            raise told or error
        self.telemetry.set_aside()
        self.say(f"{moved.name} cannot be read: moved to {moved}; the stream goes on without it")
        run.start(self._events())

    def _progressed(self, progress: BatchProgress) -> None:
        if progress.query not in self._runs:
            return  # another stream of the same session
        self.telemetry.progressed(progress)
        try:
            self.points.write(progress_lines(progress))
        except VitrineError as error:  # stopping while InfluxDB is away: a health figure is lost, no data
            self.say(str(error))


class _Run:
    """One query: started, looked after, started again, stopped.

    `foreachBatch` calls back into this very process. So what a micro-batch raises is kept here, as the
    object it is; Spark itself would hand on its text alone.
    """

    def __init__(self, query: Query, folders: StreamFolders, stopping: threading.Event):
        self.query, self._folders, self._stopping = query, folders, stopping
        self._busy = threading.Lock()  # held while a micro-batch is handled
        self._running: StreamingQuery | None = None
        self._raised: Exception | None = None

    def start(self, events: DataFrame) -> None:
        """Begin, or go on from the checkpoint."""
        query = self.query
        self._raised = None
        writer = (
            query.frame(observed(events, query.name))
            .writeStream.queryName(query.name)
            .outputMode(query.mode)
            .option("checkpointLocation", str(self._folders.checkpoint(query.name)))
            .trigger(processingTime=f"{int(query.seconds * 1000)} milliseconds")
            .foreachBatch(self._handle)
        )
        try:
            self._running = writer.start()
        except Exception as error:
            raise of_the_system(error) or refusal(error, query.name, self._folders) or error from None

    def _handle(self, frame: DataFrame, batch: int) -> None:
        with self._busy:
            if self._stopping.is_set():  # to return would commit the micro-batch undone
                raise VitrineError("stopping; this micro-batch is done again at the next start")
            try:
                self.query.handle(frame, batch)
            except Exception as error:
                self._raised = error
                raise

    def is_active(self) -> bool:
        """Whether the query runs."""
        return self._running is not None and self._running.isActive

    def failure(self) -> BaseException:
        """Why the query is not active any more."""
        if self._raised is not None:
            return self._raised
        error = self._running.exception() if self._running is not None else None
        if error is not None:
            return error
        return VitrineError(f"query {self.query.name} ended by itself; start the stream again, it goes on where it was")

    def stop(self, until: float) -> None:
        """End the query once its micro-batch has ended, or at a moment of `time.monotonic`."""
        if self._running is None:
            return
        if self._busy.acquire(timeout=max(0.0, until - time.monotonic())):
            self._busy.release()
            time.sleep(COMMIT_WAIT)
        self._running.stop()
