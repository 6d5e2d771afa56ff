"""Reading an event log: CSV (plain or gzip) or Parquet; files, folders and globs.

Every column is read as text under a declared schema, in one pass and without inference;
`app.events.clean` decides what is an event.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.errors import InputError
from app.core.settings import Settings
from app.events.archive import ARCHIVE_SCHEMA, ARCHIVED, with_keys
from app.events.archive_manifest import recent
from app.events.canonical import CORRUPT, SOURCE_FILE, canonical, quoted
from app.events.csv_text import DELIMITERS, csv_frame, csv_header, header_columns
from app.events.layout import Layout, layout_of
from app.events.log_files import PARQUET, is_hidden, literal, matching_files
from app.events.plain_parts import PlainEvents
from app.events.plain_rows import ORIGIN, PlainParts, take_plain

SMALL_BYTES = 4 * 1024 * 1024  #: plain lines of a log of less are one part: more tasks take longer than what they do


@dataclass(frozen=True)
class LogRows:
    """A log as it was read.

    `rows`: `CANONICAL` columns, all string, of those that are left to the rules; `plain`: the events of the others.
    One of the two may be None, where there are none.
    """

    rows: DataFrame | None
    plain: PlainEvents | None = None


def read_log(
    spark: SparkSession, source: str, layout: Layout, days: float | None = None, aside: PlainParts | None = None
) -> LogRows:
    """The log's rows as text, and the events of its plain lines, which are put aside.

    Parameters
    ----------
    spark
        Session.
    source
        File, folder or glob, local or of any file system Spark knows; or several of these,
        separated by commas. CSV and Parquet may be mixed. A file named twice is read once. The archive
        of a stream is read as it is, whatever the layout of the other files.
    layout
        How the shop writes its log.
    days
        Folders of an archive whose events are all older than so many days may be passed over.
    aside
        Where events of plain lines go; None if these are rows like all others.

    Raises
    ------
    InputError
        Nothing there, no event files, or a column is missing.
    """
    found: list[tuple[str, list[str]]] = []
    sizes: dict[str, int] = {}
    for part in _parts(source):
        files = _part_files(spark, part)
        if sum(files.values()) == 0:
            raise InputError(f"{part}: the file is empty; an event log has a header and rows")
        names = sorted(name for name, size in files.items() if size > 0 and name not in sizes)
        sizes |= {name: files[name] for name in names}
        found.append((part, names if days is None else recent(names, days)))
    if aside is not None and sum(sizes.values()) < SMALL_BYTES:
        aside = replace(aside, parts=1)
    read: list[LogRows] = []
    for part, names in found:
        parquet = [name for name in names if name.endswith(PARQUET)]
        text = {name: sizes[name] for name in names if not name.endswith(PARQUET)}
        read += [LogRows(_read_parquet(spark, part, parquet, layout))] if parquet else []
        read += [_read_csv(spark, part, text, layout, aside)] if text else []
    return _together(read)


def _together(read: Sequence[LogRows]) -> LogRows:
    frames = [log.rows for log in read if log.rows is not None]
    rows = reduce(DataFrame.unionByName, frames) if frames else None
    plain = [log.plain for log in read if log.plain is not None]
    folders = tuple(folder for one in plain for folder in one.folders)
    return LogRows(rows, replace(plain[0], folders=folders) if plain else None)


def list_event_files(spark: SparkSession, source: str) -> list[tuple[str, int]]:
    """Files of the log, each once, and their sizes in bytes, sorted by name.

    Hidden files (a leading `_` or `.`) are passed over, as Spark does. A file named itself is
    taken whatever its ending; in a folder only known endings are.

    Raises
    ------
    InputError
        A path does not exist, or holds no event files.
    """
    files = [_part_files(spark, part) for part in _parts(source)]
    return sorted(reduce(dict.__or__, files).items())


def check_named_files(settings: Settings) -> None:
    """See that the layout can be read, and that the log and catalogue are there, without Spark.

    Globs and addresses are left to Spark.

    Raises
    ------
    InputError
        One isn't.
    """
    layout_of(settings)
    for source in _parts(settings.events) if settings.events else []:
        if _is_missing_file(source):
            raise no_such_log(source)
    if settings.catalogue and _is_missing_file(settings.catalogue):
        raise no_such_catalogue(settings.catalogue)


def no_such_log(source: str) -> InputError:
    """What is said of a log that is not there."""
    return InputError(f"{source}: no such file or folder; give --events an existing file, folder or glob")


def no_such_catalogue(source: str) -> InputError:
    """What is said of a catalogue that is not there."""
    return InputError(f"--catalogue {source}: no such file; give a CSV or Parquet file of products")


def _is_missing_file(source: str) -> bool:
    return not re.search(r"[*?\[{]|^\w+:", source) and not Path(source).exists()


def _parts(source: str) -> list[str]:
    """The paths of a comma-separated list; a comma inside the braces of a glob does not separate."""
    parts = [part.strip() for part in re.split(r",(?![^{}]*\})", source)]
    if not all(parts):
        raise InputError(f"--events {source!r}: has an empty path; give files, folders or globs separated by commas")
    return parts


def _part_files(spark: SparkSession, source: str) -> dict[str, int]:
    try:
        files = matching_files(spark, source)
    except (Py4JJavaError, OSError) as error:
        reason = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else error
        raise InputError(f"{source}: cannot be read ({reason})") from None
    if files is None:
        raise no_such_log(source)
    if not files and is_hidden(source.rpartition("/")[2]):
        raise InputError(f"{source}: is hidden from Spark by its leading {source.rpartition('/')[2][0]!r}; rename it")
    if not files:
        raise InputError(f"{source}: holds no event files (*.csv, *.csv.gz or *.parquet)")
    return files


def _read_csv(
    spark: SparkSession, source: str, files: dict[str, int], layout: Layout, aside: PlainParts | None
) -> LogRows:
    header = csv_header(spark, next(iter(files)), layout.delimiter)
    columns = header_columns(header, layout.delimiter)
    check_columns(source, [name.strip() for name in columns], layout.named_columns(), header, layout.delimiter)
    taken = None if aside is None else take_plain(spark, files, header, columns, aside)
    if taken is None:
        return LogRows(_as_canonical(csv_frame(spark, [*files], columns, layout.delimiter), layout, origin_file()))
    rest = None if taken.rest is None else _as_canonical(taken.rest, layout, F.col(ORIGIN).alias(SOURCE_FILE))
    return LogRows(rest, taken.events)


def _as_canonical(frame: DataFrame, layout: Layout, origin: Column) -> DataFrame:
    return canonical(shop_rows(frame, layout.named_columns(), F.col(CORRUPT), origin), layout)


def origin_file() -> Column:
    """The file of a row."""
    return F.col("_metadata.file_path").alias(SOURCE_FILE)


def not_corrupt() -> Column:
    """What stands for `_corrupt` where rows can't be: in Parquet."""
    return F.lit(None).cast("string").alias(CORRUPT)


def shop_rows(frame: DataFrame, needed: Sequence[str], *origin: Column) -> DataFrame:
    """The needed columns of a file, under their names without the blanks around them, and `origin`."""
    as_named = {name.strip(): name for name in frame.columns}
    return frame.select(*(quoted(as_named[name]).alias(name) for name in needed), *origin)


def _read_parquet(spark: SparkSession, source: str, names: list[str], layout: Layout) -> DataFrame:
    frame = spark.read.parquet(*map(literal, names))
    archive = set(ARCHIVE_SCHEMA.names) <= set(frame.columns)
    needed = ARCHIVE_SCHEMA.names if archive else layout.named_columns()
    check_columns(source, frame.columns, needed)
    rows = shop_rows(frame, needed, not_corrupt(), origin_file())
    return canonical(with_keys(rows), ARCHIVED) if archive else canonical(rows, layout)


def check_columns(
    source: str, columns: Sequence[str], needed: Sequence[str], header: str = "", delimiter: str = ""
) -> None:
    """Refuse a table that lacks a column, or has one twice.

    Parameters
    ----------
    source
        Of which errors speak.
    columns, needed
        Names that are there, and those that must be.
    header, delimiter
        First line of a CSV file and what it was split by, to tell a wrong delimiter.
    """
    missing = [name for name in needed if name not in columns]
    lower = [name.lower() for name in columns]
    doubled = sorted({name for name in columns if lower.count(name.lower()) > 1})
    if len(missing) == len(needed):
        for other, typed in DELIMITERS.items():
            if other != delimiter and needed[0] in [name.strip('" ') for name in header.split(other)]:
                raise InputError(f"{source}: its columns are separated by {typed}; give --delimiter {typed}")
        raise InputError(
            f"{source}: is not an event log: it has none of the columns {', '.join(needed)}; "
            "if it has others for them, 'vitrine layout --events FILE' proposes a --layout"
        )
    if missing:
        verb = "column {} is missing" if len(missing) == 1 else "columns {} are missing"
        raise InputError(f"{source}: {verb.format(', '.join(missing))}; it has {', '.join(columns)}")
    if doubled:
        raise InputError(f"{source}: column {', '.join(map(repr, doubled))} is there twice; rename one")
