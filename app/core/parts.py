"""Tables in parts: all rows of a user lie in one file, so that work by user is done file by file, without a shuffle.

A task that Spark runs twice can't harm: it writes aside, and only the files of the attempts that Spark counts are
moved into place.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession

from app.core import duck
from app.core.duck import Connection, Relation
from app.core.files import PARTS
from app.core.worker_heap import settle

COMPLETE = "_SUCCESS"  #: what Spark leaves in a table when all of it is written
_MADE = "made"
_RECEIPT = pa.schema([("part", pa.int64()), ("attempt", pa.string())])


@dataclass(frozen=True)
class Part:
    """One task's share of the users.

    `number`: of the part; `connection`: the task's own; `folder`: where it writes.
    """

    number: int
    connection: Connection
    folder: Path

    def read(self, table: Path) -> Relation:
        """This part of a table."""
        return duck.read(self.connection, part_files(table)[self.number])

    def write(self, name: str, relation: Relation, codec: str = "zstd") -> Relation:
        """Write this part of the table `name`, and go on with what was written."""
        file = self.folder / f"{name}.parquet"
        duck.write(relation, file, codec)
        return duck.read(self.connection, file)


def part_files(table: Path) -> list[Path]:
    """The files of a table, by the number of their part."""
    return sorted(table.glob("part-*.parquet"))


def read_table(connection: Connection, table: Path) -> Relation:
    """All parts of a table."""
    return duck.read(connection, *part_files(table))


def row_count(table: Path) -> int:
    """Rows of a table, from the footers of its files."""
    return sum(pq.read_metadata(file).num_rows for file in part_files(table))


def write_table(connection: Connection, relation: Relation, table: Path) -> Relation:
    """Write a table of one part, small enough for the driver, and go on with what was written."""
    table.mkdir()
    file = table / "part-00000.parquet"
    duck.write(relation, file)
    (table / COMPLETE).touch()
    return duck.read(connection, file)


def by_part(spark: SparkSession, parts: int, work: Callable[[Part], object], target: Path) -> None:
    """Do some work on each of so many parts.

    Parameters
    ----------
    spark
        Session.
    parts
        How many there are.
    work
        Reads its part of tables, and writes its part of others.
    target
        The tables written are in `<target>/<name>/`, on a disk that driver and executors share.
    """

    def task(part: Part, rows: Iterator[pa.RecordBatch]) -> None:
        for _ in rows:  # the number of the part, which the task knows
            pass
        work(part)

    write_parts(spark.range(0, parts, 1, parts).toDF("part"), task, target)


def gathered(
    spark: SparkSession, parts: int, work: Callable[[Part], Iterable[pa.Table]], schema: pa.Schema, folder: Path
) -> pa.Table:
    """What some work makes of each part, by way of the disk: Spark would copy it value by value, twice.

    Parameters
    ----------
    spark, parts
        As in `by_part`.
    work
        Reads its part of tables, and makes rows of `schema`, piece by piece.
    schema
        Of what is made.
    folder
        For files on the way, on a disk that driver and executors share.
    """

    def task(part: Part) -> None:
        file = part.folder / f"{_MADE}.parquet"
        with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:  # read once, at once
            for table in work(part):
                writer.write_table(table)

    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as made:
        by_part(spark, parts, task, Path(made))
        files = part_files(Path(made) / _MADE)
        return pa.concat_tables([schema.empty_table(), *(pq.read_table(file, schema=schema) for file in files)])


def write_parts(frame: DataFrame, work: Callable[[Part, Iterator[pa.RecordBatch]], None], target: Path) -> None:
    """Hand each partition of a table to some work, which writes its part of tables.

    Parameters
    ----------
    frame
        Its partitions become the parts.
    work
        Gets the part and the partition's rows.
    target
        As in `by_part`.
    """
    aside = target / f"{PARTS}{uuid4().hex}"

    def task(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        number, attempt = context.partitionId(), uuid4().hex
        folder, spill = aside / attempt, aside / f"{attempt}.spill"
        folder.mkdir(parents=True)
        with duck.connect(spill) as connection:
            work(Part(number, connection, folder), rows)
        shutil.rmtree(spill, ignore_errors=True)
        settle()
        yield pa.RecordBatch.from_pydict({"part": [number], "attempt": [attempt]}, schema=_RECEIPT)

    try:
        receipts = frame.mapInArrow(task, "part long, attempt string").collect()
        written = [
            (file, int(receipt["part"])) for receipt in receipts for file in (aside / receipt["attempt"]).iterdir()
        ]
        tables = {target / file.stem for file, _ in written}
        for table in tables:
            table.mkdir()  # an error where it is there: another run is just writing the same
        for file, number in written:
            file.rename(target / file.stem / f"part-{number:05d}{file.suffix}")
        for table in tables:
            (table / COMPLETE).touch()
    finally:
        shutil.rmtree(aside, ignore_errors=True)
