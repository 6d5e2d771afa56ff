"""Plain lines of CSV files are taken out by tasks and lie by the part of their user; the rules get the rest.

A task reads its pieces of the files, types the lines that are plain (`app.events.plain`), and sorts their events into
the parts where Spark's shuffle takes the events of all other lines.
"""

import codecs
from collections.abc import Iterator, Mapping, Sequence
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
from app.core.parts import Part, by_part, part_files, row_count
from app.events.canonical import SOURCE_FILE, quoted
from app.events.csv_text import MOST_COLUMNS, csv_options, csv_schema
from app.events.pieces import CHUNK_BYTES, Piece, UnreadablePieceError, chunks, first_lines, local_path, share_out, uri
from app.events.plain import PLAIN_SCHEMA, CleaningRules, PlainLog, plain_log

LINE, PART = "line", "part"
EVENTS, REST = "plain", "rest"  #: tables: of events, and of lines that are left to the rules
UNFIT = "unfit"  #: is there if the rules must see all lines
BLANK = r"\A[\x00-\x20]*\z"  #: lines that Spark's reader of CSV passes over
SAMPLE_BYTES = 64 * 1024  #: of a file; if most of its lines are not plain, it is not tried
DICTIONARIES = ["event_type", "category_code", "brand", "category_id", "product_id"]  #: columns of few values
_PART = pa.field(PART, pa.int32())
_REST = pa.schema([(LINE, pa.string()), (SOURCE_FILE, pa.string())])


@dataclass(frozen=True)
class PlainParts:
    """Where events of plain lines are put aside.

    `folder`: for this run alone, on a disk that driver and executors share; `parts`: into how many their users are
    shared out.
    """

    cleaning: CleaningRules
    folder: Path
    parts: int


@dataclass(frozen=True)
class Taken:
    """What became of some files: a table of `events` of plain lines, and the `rest`, None where nothing is left."""

    events: Path
    rest: DataFrame | None


def take_plain(
    spark: SparkSession, files: Mapping[str, int], header: str, columns: Sequence[str], aside: PlainParts
) -> Taken | None:
    """Take plain lines out of CSV files.

    Parameters
    ----------
    spark
        Session.
    files
        Their sizes in bytes, by Hadoop's names.
    header, columns
        First line of the first file, and the names in it.
    aside
        Where the events go.

    Returns
    -------
    Taken or None
        Of `rest` the columns are as those of `app.events.csv_text.csv_frame`, and `source_file`. None where the rules
        must see all lines: a file is not of this machine, few lines are plain, headers differ, or a line is one that
        Spark refuses.
    """
    log = plain_log(columns, aside.cleaning)
    paths = {path: name for name in files if (path := local_path(name)) is not None}
    if log is None or len(paths) < len(files) or not _looks_plain(next(iter(paths)), log):
        return None
    shares = share_out({path: files[name] for path, name in paths.items()}, spark.sparkContext.defaultParallelism)
    names = {path: uri(path) or _as_spark_writes(spark, name) for path, name in paths.items()}
    folder, parts, delimiter = aside.folder / uuid4().hex, aside.parts, aside.cleaning.layout.delimiter

    def work(part: Part) -> None:
        try:
            with _Tables(part.folder, parts) as tables:
                for heap in _heaps(shares[part.number], header):
                    events, plain = log.take(heap.lines)
                    tables.add(events, _left(heap, pc.invert(plain), names, delimiter))
        except UnreadablePieceError:
            (part.folder / f"{UNFIT}.parquet").touch()

    folder.mkdir(parents=True)
    by_part(spark, len(shares), work, folder)
    if (folder / UNFIT).exists():
        return None
    rest = folder / REST
    left = _as_read(spark, rest, columns, delimiter) if row_count(rest) else None
    return Taken(folder / EVENTS, left)


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


def _looks_plain(path: str, log: PlainLog) -> bool:
    try:
        lines = first_lines(path, SAMPLE_BYTES)[1:]
    except UnreadablePieceError:
        return False
    events, _ = log.take(_lines(b"".join(lines) + b"\n"))
    return 2 * events.num_rows > len(lines)


def _as_spark_writes(spark: SparkSession, name: str) -> str:
    path = spark._jvm.org.apache.spark.paths.SparkPath  # type: ignore[union-attr]
    found: str = path.fromPathString(name).urlEncoded()
    return found


def _as_read(spark: SparkSession, rest: Path, columns: Sequence[str], delimiter: str) -> DataFrame:
    """Lines as Spark's reader of CSV splits them."""
    schema = csv_schema(columns)
    told = ", ".join(f"`{name.replace('`', '``')}` string" for name in schema.names)
    options = {name: str(value) for name, value in csv_options(delimiter).items()}
    lines = spark.read.schema(f"{LINE} string, {SOURCE_FILE} string").parquet(str(rest))
    read = lines.select(F.from_csv(LINE, told, options).alias("row"), SOURCE_FILE)
    return read.select(*(F.col("row")[name].alias(name) for name in schema.names), quoted(SOURCE_FILE))


@dataclass(frozen=True)
class _Heap:
    """Lines that are looked at together, none of them a header; `files`: which they are of, in order, and how many."""

    lines: pa.StringArray
    files: tuple[tuple[str, int], ...]


def _heaps(pieces: Sequence[Piece], header: str) -> Iterator[_Heap]:
    """The lines of pieces, about `CHUNK_BYTES` at a time: a chunk of a large file, or all of many small ones."""
    held, files, size = list[pa.StringArray](), list[tuple[str, int]](), 0
    for piece in pieces:
        for number, chunk in enumerate(chunks(piece)):
            lines = _lines(chunk)
            if number == piece.begin == 0:
                first = chunk.partition(b"\n")[0].removeprefix(codecs.BOM_UTF8).removesuffix(b"\r")
                if first != header.encode():
                    raise UnreadablePieceError
                lines = lines.slice(1)
            held.append(lines)
            files.append((piece.file, len(lines)))
            size += len(chunk)
            if size >= CHUNK_BYTES:
                yield _Heap(pa.concat_arrays(held), tuple(files))
                held, files, size = [], [], 0
    if held:
        yield _Heap(pa.concat_arrays(held), tuple(files))


def _left(heap: _Heap, left: pa.BooleanArray, names: Mapping[str, str], delimiter: str) -> pa.Table:
    """Lines that are not plain and not blank, without their ends, and where they stood, by the names of files."""
    files, counts = zip(*heap.files, strict=True)
    of_file = np.repeat(np.arange(len(files), dtype=np.int32), counts)[left.to_numpy(zero_copy_only=False)]
    bare = pc.ascii_rtrim(heap.lines.filter(left), "\r\n")
    if pc.any(pc.match_substring(bare, "\r")).as_py():  # which ends a line too
        split = pc.split_pattern(bare, "\r")
        bare, of_file = pc.list_flatten(split), of_file[pc.list_parent_indices(split).to_numpy()]
    if pc.any(pc.greater_equal(pc.count_substring(bare, delimiter), MOST_COLUMNS)).as_py():
        raise UnreadablePieceError
    told = pc.invert(pc.match_substring_regex(bare, BLANK))
    stood = pa.array([names[file] for file in files], pa.string()).take(pa.array(of_file))
    return pa.table([bare, stood], schema=_REST).filter(told)


def _lines(text: bytes) -> pa.StringArray:
    """Lines, each with its end, over the same bytes."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))


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
