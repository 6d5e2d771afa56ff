"""Plain lines of CSV files are taken out by Spark's tasks and lie by the part of their user; the rules get the rest.

Spark reads and splits the text into lines; a task types those that are plain (`app.events.plain`), and sorts their
events into the parts where Spark's shuffle takes the events of all other lines.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core import duck
from app.core.duck import Connection, Relation
from app.core.partitioning import part_of
from app.core.parts import Part, part_files, row_count, write_parts
from app.events.canonical import SOURCE_FILE, quoted
from app.events.csv_text import MOST_COLUMNS, csv_options, csv_schema, first_lines
from app.events.log_files import literal
from app.events.plain import PLAIN_SCHEMA, Cleaning, PlainLog, plain_log

LINE, BEGINS_FILE, PART, UNFIT = "line", "begins_file", "part", "unfit"
EVENTS, REST = "plain", "rest"  #: tables: of events, and of lines that are left to the rules
BLANK = r"\A[\x00-\x20]*\z"  #: lines that Spark's reader of CSV passes over
SAMPLE_LINES = 200  #: of a file; if most of them are not plain, it is not tried
HEAP_BYTES = 32 * 1024 * 1024  #: of lines that are typed at once; a task holds some five times as much
DICTIONARIES = ["event_type", "category_code", "brand", "category_id", "product_id"]  #: columns of few values
_PART = pa.field(PART, pa.int32())
_REST = pa.schema([(LINE, pa.string()), (SOURCE_FILE, pa.string()), (UNFIT, pa.bool_())])


@dataclass(frozen=True)
class PlainParts:
    """Where events of plain lines are put aside.

    `folder`: for this run alone, on a disk that driver and executors share; `parts`: into how many their users are
    shared out.
    """

    cleaning: Cleaning
    folder: Path
    parts: int


@dataclass(frozen=True)
class Taken:
    """What became of some files: a table of `events` of plain lines, and the `rest`, None where nothing is left."""

    events: Path
    rest: DataFrame | None


def take_plain(
    spark: SparkSession, names: Sequence[str], header: str, columns: Sequence[str], aside: PlainParts
) -> Taken | None:
    """Take plain lines out of CSV files.

    Parameters
    ----------
    spark
        Session.
    names
        Of the files.
    header, columns
        First line of the first file, and the names in it.
    aside
        Where the events go.

    Returns
    -------
    Taken or None
        Of `rest` the columns are as those of `app.events.csv_text.csv_frame`, and `source_file`. None where the rules
        must see all lines: few are plain, headers differ, or a line has more fields than Spark reads.
    """
    log = plain_log(columns, aside.cleaning)
    if log is None or not _looks_plain(spark, names[0], log):
        return None
    folder, delimiter, parts = aside.folder / uuid4().hex, aside.cleaning.layout.delimiter, aside.parts

    def task(part: Part, batches: Iterator[pa.RecordBatch]) -> None:
        sorter = _Sorter(log, header)
        with _Tables(part.folder, parts) as tables:
            for heap in _heaps(batches):
                tables.add(*sorter.sort(heap))

    files = F.col("_metadata.file_path").alias(SOURCE_FILE)
    begins = (F.col("_metadata.file_block_start") == 0).alias(BEGINS_FILE)
    lines = spark.read.text([*map(literal, names)]).select(F.col("value").alias(LINE), files, begins)
    folder.mkdir(parents=True)
    write_parts(lines, task, folder)
    if _is_unfit(folder / REST):
        return None
    events, rest = folder / EVENTS, folder / REST
    return Taken(events, _as_read(spark, rest, columns, delimiter) if row_count(rest) else None)


def read_plain(connection: Connection, tables: Sequence[Path], part: int) -> Relation | None:
    """The events of one part (`app.events.clean.event_rows`), None where there are none."""
    files = [file for table in tables for file in part_files(table)]
    if not files:
        return None
    events = duck.read(connection, *files).filter(f"{PART} = {part}")
    return events.select(f"{', '.join(PLAIN_SCHEMA.names)}, 1::bigint as copies")


def plain_count(tables: Sequence[Path]) -> int:
    """How many lines were plain."""
    return sum(map(row_count, tables))


def _looks_plain(spark: SparkSession, name: str, log: PlainLog) -> bool:
    lines = pa.array(first_lines(spark, name, SAMPLE_LINES)[1:], pa.string())
    events, _ = log.take(lines)
    return 2 * events.num_rows > len(lines)


def _is_unfit(rest: Path) -> bool:
    tables = (pq.read_table(file, columns=[UNFIT]) for file in part_files(rest))
    return any(pc.any(table[UNFIT]).as_py() for table in tables)


def _as_read(spark: SparkSession, rest: Path, columns: Sequence[str], delimiter: str) -> DataFrame:
    """Lines as Spark's reader of CSV splits them."""
    schema = csv_schema(columns)
    told = ", ".join(f"`{name.replace('`', '``')}` string" for name in schema.names)
    options = {name: str(value) for name, value in csv_options(delimiter).items()}
    lines = spark.read.schema(f"{LINE} string, {SOURCE_FILE} string").parquet(str(rest))
    read = lines.select(F.from_csv(LINE, told, options).alias("row"), SOURCE_FILE)
    return read.select(*(F.col("row")[name].alias(name) for name in schema.names), quoted(SOURCE_FILE))


def _heaps(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to about `HEAP_BYTES`."""
    held, size = list[pa.RecordBatch](), 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= HEAP_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


class _Sorter:
    """Tells the lines of one task apart, heap after heap."""

    def __init__(self, log: PlainLog, header: str):
        self._log, self._header = log, header
        self._before: tuple[str, bool] | None = None  # file of the last line, and whether it was of the file's begin

    def sort(self, heap: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Events of the plain lines, and what is left of the others, of which headers and blank lines are none."""
        lines = heap[LINE].combine_chunks()
        first = self._first_of_files(heap)
        events, plain = self._log.take(lines)
        left = pc.invert(plain)
        others, first = lines.filter(left), first.filter(left)
        header = pc.and_(first, pc.equal(others, self._header))
        many = pc.greater_equal(pc.count_substring(others, self._log.cleaning.layout.delimiter), MOST_COLUMNS)
        unfit = pc.or_(many, pc.and_not(first, header))
        told = pc.invert(pc.or_(header, pc.match_substring_regex(others, BLANK)))
        rest = pa.table([others, heap[SOURCE_FILE].filter(left), unfit], schema=_REST)
        return events, rest.filter(pc.or_(told, unfit))

    def _first_of_files(self, heap: pa.Table) -> pa.BooleanArray:
        """Which lines are the first ones of their file."""
        files = heap[SOURCE_FILE].combine_chunks().dictionary_encode()
        begins = heap[BEGINS_FILE].to_numpy()
        codes = files.indices.to_numpy()
        other = np.ones(len(codes), bool)  # file, or piece of it, than the line before
        other[1:] = (codes[1:] != codes[:-1]) | (begins[1:] != begins[:-1])
        other[0] = (files[0].as_py(), bool(begins[0])) != self._before
        self._before = files[len(files) - 1].as_py(), bool(begins[-1])
        return pa.array(begins & other)


class _Tables:
    """Writes what a task has sorted: one file of events, a row group for each part, and one of the rest."""

    def __init__(self, folder: Path, parts: int):
        self._folder, self._parts = folder, parts
        self._stack = ExitStack()
        self._writers = dict[str, pq.ParquetWriter]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def add(self, events: pa.Table, rest: pa.Table) -> None:
        """Write more of both."""
        if events.num_rows:
            numbers = part_of(events["user_id"].to_numpy(), self._parts)
            order = np.argsort(numbers, kind="stable")
            bounds = np.searchsorted(numbers[order], np.arange(self._parts + 1))
            ordered = events.append_column(_PART, pa.array(numbers, pa.int32())).take(order)
            for begin, end in pairwise(bounds):
                self._write(EVENTS, ordered.slice(begin, end - begin))
        self._write(REST, rest)

    def _write(self, name: str, rows: pa.Table) -> None:
        if rows.num_rows:
            if name not in self._writers:
                file = self._folder / f"{name}.parquet"
                self._writers[name] = self._stack.enter_context(
                    pq.ParquetWriter(file, rows.schema, compression="snappy", use_dictionary=DICTIONARIES)
                )
            self._writers[name].write_table(rows)
