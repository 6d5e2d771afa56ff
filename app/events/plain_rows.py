"""Plain lines of CSV files are taken out by tasks and lie by the part of their user; the rules get the rest.

A task reads its pieces of the files, types the lines that are plain (`app.events.plain`), and sorts their events into
the parts where Spark's shuffle takes the events of all other lines (`app.events.plain_parts`).
"""

import codecs
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.parts import Part, by_part, row_count
from app.events.csv_text import MOST_COLUMNS, csv_options, csv_schema
from app.events.pieces import CHUNK_BYTES, Piece, UnreadablePieceError, chunks, first_lines, local_path, share_out, uri
from app.events.plain import CleaningRules, PlainLog, plain_log
from app.events.plain_parts import EventsWriter, PlainEvents

LINE, ORIGIN = "line", "_origin"  #: a line that is left to the rules, and its file
REST = "rest"  #: table of these
UNFIT = "unfit"  #: is there if the rules must see all lines
BLANK = r"\A[\x00-\x20]*\z"  #: lines that Spark's reader of CSV passes over
SAMPLE_BYTES = 64 * 1024  #: of a file; if most of its lines are not plain, none is looked for
SAMPLE_FILES = 100  #: so many are looked into for one that has lines
_REST = pa.schema([(LINE, pa.string()), (ORIGIN, pa.string())])


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
    """What became of some files: the `events` of plain lines, and the `rest`, None where nothing is left."""

    events: PlainEvents
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
        Of `rest` the columns are as those of `app.events.csv_text.csv_frame`, and `ORIGIN`. None where the rules
        must see all lines: a file is not of this machine, few lines are plain, headers differ, or a line is one that
        Spark refuses.
    """
    log = plain_log(columns, aside.cleaning)
    paths = {path: name for name in files if (path := local_path(name)) is not None}
    if log is None or len(paths) < len(files) or not _looks_plain(paths, log):
        return None
    shares = share_out({path: files[name] for path, name in paths.items()}, spark.sparkContext.defaultParallelism)
    names = {path: uri(path) or _as_spark_writes(spark, name) for path, name in paths.items()}
    folder, parts, delimiter = aside.folder / uuid4().hex, aside.parts, aside.cleaning.layout.delimiter
    unfit = folder / UNFIT

    def work(part: Part) -> None:
        try:
            with (
                EventsWriter(part.folder, parts) as events,
                pq.ParquetWriter(part.folder / f"{REST}.parquet", _REST) as rest,
            ):
                for heap in _heaps(shares[part.number], header):
                    if unfit.exists():  # another task has found it out
                        return
                    found, plain = log.take(heap.lines)
                    events.add(found)
                    rest.write_table(_left(heap, pc.invert(plain), names, delimiter))
        except UnreadablePieceError:
            unfit.touch()

    folder.mkdir(parents=True)
    by_part(spark, len(shares), work, folder)
    if unfit.exists():
        shutil.rmtree(folder)
        return None
    rest = folder / REST
    return Taken(PlainEvents((folder,), parts), _as_read(spark, rest, columns, delimiter) if row_count(rest) else None)


def _looks_plain(paths: Iterable[str], log: PlainLog) -> bool:
    """By the first file that has lines."""
    try:
        for path in islice(paths, SAMPLE_FILES):
            lines = first_lines(path, SAMPLE_BYTES)[1:]
            if lines:
                events, _ = log.take(_lines(b"".join(lines) + b"\n"))
                return 2 * events.num_rows > len(lines)
    except UnreadablePieceError:
        pass
    return False


def _as_spark_writes(spark: SparkSession, name: str) -> str:
    path = spark._jvm.org.apache.spark.paths.SparkPath  # type: ignore[union-attr]
    found: str = path.fromPathString(name).urlEncoded()
    return found


def _as_read(spark: SparkSession, rest: Path, columns: Sequence[str], delimiter: str) -> DataFrame:
    """Lines as Spark's reader of CSV splits them."""
    schema = csv_schema(columns)
    *fields, corrupt = schema.names
    numbered = {f"c{number}": name for number, name in enumerate(fields)} | {corrupt: corrupt}  # any name is a column's
    options = {name: str(value) for name, value in csv_options(delimiter).items()}
    lines = spark.read.schema(f"{LINE} string, {ORIGIN} string").parquet(str(rest))
    row = F.from_csv(LINE, ", ".join(f"{number} string" for number in numbered), options)
    read = lines.select(row.alias("row"), ORIGIN)
    return read.select(*(F.col("row")[number].alias(name) for number, name in numbered.items()), ORIGIN)


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
