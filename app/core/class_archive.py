"""Spark's classes, loaded and verified once for all starts: `python -m app.core.class_archive`.

Of a start of Spark, half of the CPU time goes into reading some 20,000 classes out of its jars. Java can map them from
a file instead (class data sharing, https://openjdk.org/jeps/350). The file counts for the very Spark and Java that it
was made with; with others, Java starts as without it.

Needs nothing of Vitrine, so that the image has it in a layer below the source.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyspark
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

ARCHIVE = Path(sys.prefix) / "share" / "vitrine" / "spark.jsa"
SIZE = ".size"  #: ends the name of a file that says how large the archive is: with half of one, Java would crash
QUIET = "-Xlog:cds*=off"  #: or Java would tell of every class that it can't keep, and of an archive of others
COLUMNS = "at timestamp, who long, what string, price double"
ROWS_OF_STATE = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


def class_path() -> str:
    """All jars of Spark.

    An archive counts for class paths that begin as that which it was made with. Spark's own begins with a folder of
    configuration, which Java refuses in an archive.
    """
    return f"{os.environ.get('SPARK_HOME', Path(pyspark.__file__).parent)}/jars/*"


def java_options(archive: Path = ARCHIVE) -> str:
    """What has Java use the archive, where there is a whole one."""
    try:
        whole = archive.stat().st_size == int(_size_of(archive).read_text())
    except FileNotFoundError:
        whole = False
    return f"-XX:SharedArchiveFile={archive} {QUIET}" if whole else ""


def _size_of(archive: Path) -> Path:
    return archive.with_name(archive.name + SIZE)


def make(target: Path) -> None:
    """Write the archive: of the classes that some work like training's and the stream's takes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.appName("classes")
        .master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.extraClassPath", class_path())
        .config("spark.driver.extraJavaOptions", f"-XX:ArchiveClassesAtExit={part} {QUIET}")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.streaming.stateStore.providerClass", ROWS_OF_STATE)
        .getOrCreate()
    )
    with TemporaryDirectory() as folder:
        _work(session, Path(folder))
    gateway = session.sparkContext._gateway
    session.stop()
    assert gateway is not None
    gateway.shutdown()
    gateway.proc.stdin.close()  # Java ends, and writes the archive when it does
    gateway.proc.wait()
    _size_of(target).write_text(str(part.stat().st_size))
    part.replace(target)


def _work(spark: SparkSession, folder: Path) -> None:
    landing = folder / "landing"
    landing.mkdir()
    lines = "".join(f"2019-10-01 00:00:{i:02},{i % 7},view,{i}.5\n" for i in range(60))
    (landing / "in.csv").write_text(f"at,who,what,price\n{lines}")
    parsed = _typed(spark.read.schema(COLUMNS).option("header", True).csv(str(landing)))
    parsed.repartition(2, "who").mapInArrow(_through_python, parsed.schema).write.parquet(str(folder / "parts"))
    spark.read.parquet(str(folder / "parts")).groupBy("what").agg(F.count_distinct("who"), F.sum("price")).collect()
    stream = _typed(spark.readStream.schema(COLUMNS).option("header", True).csv(str(landing)))
    (
        stream.mapInArrow(_through_python, stream.schema)
        .withWatermark("at", "1 minute")
        .groupBy(F.window("at", "1 hour"), "who")
        .agg(F.max_by("what", "at"))
        .writeStream.outputMode("update")
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(_collect)
        .start()
        .awaitTermination()
    )


def _typed(frame: DataFrame) -> DataFrame:
    price = F.coalesce(F.try_to_number(F.col("price").cast("string"), F.lit("999.9")).cast("double"), F.lit(0.0))
    return frame.where("what is not null").withColumn("price", price).withColumn("what", F.lower(F.trim("what")))


def _collect(frame: DataFrame, batch: int) -> None:
    frame.mapInArrow(_through_python, frame.schema).collect()


def _through_python(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE)
