"""The running stream: the life of its query over the landing folder, from start to a graceful stop."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from app.core.errors import VitrineError
from app.core.failures import of_the_system, own_error
from app.core.lease import Lease
from app.core.settings import Settings
from app.monitor.influx import check, influx_config
from app.monitor.prometheus import StreamMetrics
from app.registry.in_use import BundleInUse, check_published
from app.registry.registry import Registry
from app.stream import first_edition
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.champion import Champion
from app.stream.checkpoints import refusal
from app.stream.damaged import set_aside
from app.stream.epoch import QUERY, begin, check_marks, is_of_first_edition, marked
from app.stream.folders import StreamFolders
from app.stream.hadoop_defaults import drop_unused
from app.stream.housekeeping import Housekeeping
from app.stream.micro_batches import MicroBatches
from app.stream.points import PointSink, progress_lines
from app.stream.progress import BatchProgress, ProgressListener
from app.stream.session_conf import SPARK_CONFIGURATION
from app.stream.source import event_stream, takes_new_columns
from app.stream.source_names import SourceNames
from app.stream.telemetry import StreamSummary, Telemetry
from app.stream.window_counter import WindowCounter

STOP_WAIT = 20.0  #: seconds that what is running is given to end
COMMIT_WAIT = 0.5  #: seconds between a micro-batch's end and its commit, at the most


class Stream:
    """The stream of one output folder.

    Call `start`, then `wait` until `stopping` is set, then `stop`; `telemetry` tells how it goes.

    Parameters
    ----------
    spark
        Session, made with `SPARK_CONFIGURATION`.
    settings
        Folders, paces, InfluxDB, port of the metrics.
    lease
        Of the stream's folder, acquired; whoever took it releases it.
    say
        Gets a line about what happens.

    Raises
    ------
    InputError
        Nothing is published, or InfluxDB is set and can't be written to.
    BundleError
        No published bundle is whole.
    """

    def __init__(self, spark: SparkSession, settings: Settings, lease: Lease, say: Callable[[str], Any]):
        self.spark, self.settings, self.say, self._lease = spark, settings, say, lease
        self.folders = folders = StreamFolders.of(settings)
        influx = influx_config(settings)
        if influx is None:
            say("no VITRINE_INFLUX_URL: writing files only")
        else:
            check(influx)
        lease.check()
        self.stopping = threading.Event()
        self.telemetry = Telemetry(StreamMetrics())
        check_marks(folders)
        begun = bool(marked(folders).starts)
        for folder in folders.prepare():
            if begun and folder == folders.landing:
                say(f"{folder}: is gone; it is made anew, and files that are landed there are waited for")
            elif begun:
                self._lost(f"{folder}: is gone; it is made anew, without what it held")
        self.points = PointSink(influx, self.stopping.is_set, self.telemetry.influx_retried, say)
        registry = Registry(folders.models)
        check_published(registry)
        self.epoch = begin(folders, lease.epoch, lease.check, self._first_epoch)
        self.champion = Champion(BundleInUse(registry, settings, say), self.epoch.pins)
        archive = Archive.of(folders)
        lists = folders.lists, settings.keep_list_batches
        accounts = Accounts(folders.accounts, archive, lists, self.epoch.number, marked(folders))
        windows = WindowCounter(settings, folders, self.epoch, self.points, self._lost)
        self._batches = MicroBatches(
            spark,
            settings,
            folders,
            lease,
            self.epoch,
            self.champion,
            archive,
            accounts,
            windows,
            self.telemetry,
            self.points,
            say,
        )
        self._beside = Housekeeping(
            settings,
            folders,
            archive,
            accounts,
            windows,
            self.telemetry,
            self.points,
            self.epoch,
            lease,
            say,
            self._lost,
        )
        self._accounts = accounts
        self._listener = ProgressListener(self._progressed)
        self._names = SourceNames(self.epoch.checkpoint, folders.landing)
        self._pausing = threading.Event()
        self._busy = threading.Lock()  # held while a micro-batch is handled
        self._running: StreamingQuery | None = None
        self._raised: Exception | None = None

    def start(self) -> None:
        """Start the query, and metrics where a port is set.

        Raises
        ------
        InputError
            A checkpoint that this edition can't go on from.
        """
        spark = self.spark
        drop_unused(spark)
        spark.conf.set("spark.sql.shuffle.partitions", str(self.settings.stream_partitions))
        for key, value in SPARK_CONFIGURATION.items():
            if key.startswith("spark.sql."):
                spark.conf.set(key, value)
        spark.streams.addListener(self._listener)
        if self.settings.metrics_port is not None:
            self.telemetry.metrics.serve(self.settings.metrics_port)
        self.telemetry.uses_bundle(self.champion.bundle.version, self.champion.refused)
        self._start()
        self._beside.start()
        self.say(f"bundle {self.champion.bundle.version} is in use; waiting for files in {self.folders.landing}")

    def wait(self, every: float = 5.0, tell: Callable[[StreamSummary], Any] = lambda summary: None) -> None:
        """Until `stopping` is set or the query fails for good; `tell` gets a summary every so many seconds.

        A file that can't be read is moved to `damaged`, and the query goes on without it.

        Raises
        ------
        VitrineError
            Another stream has taken over; or the query failed with one of our errors, or can't go on from its
            checkpoint; or one of the stream's folders is gone.
        Exception
            The query failed with another, as it was raised.
        """
        try:
            self._wait(every, tell)
        except Exception:
            self.folders.check()  # whatever has met that first
            self._lease.check()  # a successor deletes the checkpoint that it has gone on from
            self.folders.check(self.epoch.pins)
            raise

    def _wait(self, every: float, tell: Callable[[StreamSummary], Any]) -> None:
        told = time.monotonic()
        while not self.stopping.wait(0.2):
            if self._lease.lost.is_set():
                self._lease.check()
            if self._beside.failure is not None:
                raise own_error(self._beside.failure) or of_the_system(self._beside.failure) or self._beside.failure
            if self._running is not None and not self._running.isActive:
                self._recover()
            elif self._beside.names_too_many.is_set():
                self._forget_names()
            now = time.monotonic()
            if now - told >= every:
                told = now
                tell(self.telemetry.summary())

    def stop(self) -> None:
        """End after the running micro-batch; what is cut short is done again at the next start.

        A stream that was replaced ends at once: nobody looks at what it writes.
        """
        self.stopping.set()
        until = time.monotonic() + (0 if self._lease.lost.is_set() else STOP_WAIT)
        if self._running is not None:
            if self._busy.acquire(timeout=max(0.0, until - time.monotonic())):
                self._busy.release()
                time.sleep(COMMIT_WAIT)
            self._running.stop()
        try:
            self._beside.stop(until)
        finally:
            self.spark.streams.removeListener(self._listener)

    def _first_epoch(self, folder: Path) -> None:
        if is_of_first_edition(self.folders):
            self.say("resuming from the previous version's checkpoint")
            first_edition.take_over(self.spark, self.settings, self.folders, folder)

    def _start(self) -> None:
        """Begin, or go on from the checkpoint."""
        self._raised = None
        writer = (
            self._batches.frame(event_stream(self.spark, self.settings, self.folders.landing))
            .writeStream.queryName(QUERY)
            .outputMode("update")
            .option("checkpointLocation", str(self.epoch.checkpoint))
            .trigger(processingTime=f"{int(self.settings.lists_seconds * 1000)} milliseconds")
            .foreachBatch(self._handle)
        )
        try:
            self._running = writer.start()
        except Exception as error:
            raise of_the_system(error) or self._refusal(error) or error from None

    def _handle(self, frame: DataFrame, batch: int) -> None:
        """Called back by Spark, into this very process: what it raises is kept, as Spark hands on its text alone."""
        with self._busy:
            if self.stopping.is_set() or self._pausing.is_set():  # to return would commit the micro-batch undone
                raise VitrineError("stopping; this micro-batch is done again at the next start")
            try:
                self._batches.handle(frame, batch)
            except Exception as error:
                self._raised = error
                raise

    def _recover(self) -> None:
        """Start the query again if it met a damaged file or new columns; raise what it failed with otherwise."""
        self._lease.check()  # what a replaced stream meets is no reason to move files that its successor reads
        error = self._failure()
        if not takes_new_columns(error, self.settings, self.folders.landing):
            moved = set_aside(error, self.folders)
            if moved is None:
                raise own_error(error) or of_the_system(error) or self._refusal(error) or error
            self._lost(f"{moved.name} cannot be read: moved to {moved}; the stream goes on without it")
        self._start()

    def _forget_names(self) -> None:
        """Between two micro-batches, start the query again with fewer names; tried again soon while one is handled."""
        if self._running is None or not self._busy.acquire(blocking=False):
            return
        self._pausing.set()
        self._busy.release()
        time.sleep(COMMIT_WAIT)
        self._running.stop()
        try:
            self._names.forget()
        except OSError as error:
            raise of_the_system(error) or error from None
        self._beside.names_too_many.clear()
        self._pausing.clear()
        self._start()

    def _failure(self) -> BaseException:
        """Why the query is not active any more."""
        error = self._raised or (self._running.exception() if self._running is not None else None)
        return error or VitrineError("the query ended by itself; start the stream again, it goes on where it was")

    def _lost(self, line: str) -> None:
        self.telemetry.set_aside()
        self.say(line)

    def _refusal(self, error: BaseException) -> VitrineError | None:
        return refusal(error, self.epoch.checkpoint, self.folders)

    def _progressed(self, progress: BatchProgress) -> None:
        if progress.query != QUERY:
            return  # another stream of the same session
        account = self._accounts.committed(progress.batch, progress.rows, progress.dropped)
        late = (account.late if account is not None else None) or 0
        self.telemetry.progressed(progress, late)
        try:
            self.points.write(progress_lines(progress, late))
        except VitrineError as error:  # stopping while InfluxDB is away: a health figure is lost, no data
            self.say(str(error))
