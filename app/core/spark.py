"""The Spark session, made only at the edges: jobs, command line, tests."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from py4j.protocol import Py4JNetworkError
from pyspark.sql import SparkSession

from app.core.class_archive import class_path, java_options
from app.core.interrupts import interrupts_later
from app.core.settings import Settings

LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")
#: Spark's ALS would look for a native BLAS, complain on standard error that there is none, and take this one; with
#: it on every machine the same log gives the same factors.
JAVA_BLAS = "dev.ludovic.netlib.blas.allowNative"
JAVA_OPTIONS = f"-Dlog4j2.configurationFile=file:{LOG_CONFIGURATION} -D{JAVA_BLAS}=false"
BYTES_PER_SHUFFLE_PARTITION = 64 * 1024 * 1024  # of input; small enough for two cores, few enough to schedule


def shuffle_partitions(input_bytes: int, cores: int) -> int:
    """Shuffle partitions that fit the data: one per 64 MiB of input, at least one per core."""
    return max(cores, min(2000, -(-input_bytes // BYTES_PER_SHUFFLE_PARTITION)))


def cores_here(spark: SparkSession) -> int:
    """Cores that Spark has on the driver's machine: all of a local session's, else the driver's own.

    At most as many as there are: a local session may be told of more, and a user sets its parallelism.
    """
    context = spark.sparkContext
    local = str(context.master).startswith("local")
    told = context.defaultParallelism if local else int(context.getConf().get("spark.driver.cores", "1"))
    return min(told, os.cpu_count() or 1)


def create_session(settings: Settings, name: str, extra: dict[str, str] | None = None) -> SparkSession:
    """A session in UTC; master and memory of spark-submit win over the settings.

    Parameters
    ----------
    settings
        Master, driver memory, shuffle partitions.
    name
        Application name.
    extra
        Further Spark configuration of one job.
    """
    # Spark starts its Python workers with whatever `python3` is first on PATH: pin ours.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Spark hands timestamps to Python in the process's local zone: make that UTC as well.
    os.environ["TZ"] = "UTC"
    time.tzset()
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "5000")
        # No limit: else Spark works out a batch's bytes anew after each row, a sixth of the time of reading a log.
        .config("spark.sql.execution.arrow.maxBytesPerBatch", str(2**31 - 1))
        .config("spark.sql.icu.caseMappings.enabled", "false")  # ICU is slow, and event types are plain ASCII
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.csv.parser.columnPruning.enabled", "false")  # else a wrong column count goes unseen
        .config("spark.sql.legacy.parquet.nanosAsLong", "true")  # Spark has no times as fine as those of pandas
        # Else each column expression asks the JVM four times for the line of Python that it stands in.
        .config("spark.python.sql.dataFrameDebugging.enabled", "false")
    )
    submitted, archive = "SPARK_ENV_LOADED" in os.environ, java_options()
    if not submitted:  # spark-submit has set these
        builder = (
            builder.master(settings.master)
            .config("spark.driver.memory", settings.driver_memory)
            .config("spark.driver.host", "localhost")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.ui.enabled", "false")
        )
        builder = builder.config("spark.driver.extraJavaOptions", f"{JAVA_OPTIONS} {archive}")
        if archive:
            builder = builder.config("spark.driver.extraClassPath", class_path())
    if settings.shuffle_partitions:
        builder = builder.config("spark.sql.shuffle.partitions", str(settings.shuffle_partitions))
    for key, value in (extra or {}).items():
        builder = builder.config(key, value)
    with interrupts_later():  # an interrupted launcher would leave a JVM that nobody talks to, for good
        session = builder.getOrCreate()
    if submitted:
        _catch_up(session)
    return session


def end_session(session: SparkSession) -> None:
    """Stop a session. One whose Java process is gone is over already: whoever needed it has failed by then."""
    with suppress(Py4JNetworkError, ConnectionError):
        session.stop()


def _catch_up(session: SparkSession) -> None:
    """Give the driver of spark-submit, whose JVM is running already, the `JAVA_OPTIONS` that it was not given."""
    java = session.sparkContext._jvm
    assert java is not None
    system = java.java.lang.System
    if system.getProperty(JAVA_BLAS) is None:
        system.setProperty(JAVA_BLAS, "false")
    if system.getProperty("log4j2.configurationFile") is None:
        location = java.java.net.URI(LOG_CONFIGURATION.as_uri())
        java.org.apache.logging.log4j.core.config.Configurator.reconfigure(location)


def for_throughput() -> dict[str, str]:
    """Configuration of batch work: pauses don't matter, and parsing a log takes a fifth less.

    A spark-defaults.conf of the user's, which may choose another collector, wins over it.
    """
    return {} if "SPARK_CONF_DIR" in os.environ else {"spark.driver.defaultJavaOptions": "-XX:+UseParallelGC"}
