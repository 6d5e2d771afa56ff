"""The text of CSV files, as Spark reads it here: one delimiter, quotes doubled within quotes, one row a line."""

import codecs
import csv
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from app.core.errors import InputError
from app.events.canonical import CORRUPT
from app.events.log_files import literal
from app.events.pieces import UnreadablePieceError, first_lines, local_path

DELIMITERS = {",": "','", ";": "';'", "\t": "$'\\t'", "|": "'|'"}  #: as they are typed in a shell
HEADER_CHARACTERS = 100_000  #: more than any header; a binary file may be one endless line
MOST_COLUMNS = 1_000_000  #: a line with more fields stops Spark, rather than being a bad row


def csv_header(spark: SparkSession, name: str, delimiter: str) -> str:
    """The first line of a CSV file."""
    check_delimiter(delimiter)
    found = _local_line(name)
    if found is None:
        found = "".join(row.value for row in spark.read.text(literal(name)).limit(1).collect())
    return found[:HEADER_CHARACTERS]


def _local_line(name: str) -> str | None:
    """The first line of a file, None where only Spark can read it, or says why it can't."""
    path = local_path(name)
    try:
        lines = [] if path is None else first_lines(path, HEADER_CHARACTERS)
    except UnreadablePieceError:
        return None
    return lines[0].removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n").decode(errors="replace") if lines else None


def csv_frame(spark: SparkSession, names: Sequence[str], columns: Sequence[str], delimiter: str) -> DataFrame:
    """CSV files as text, under the columns of their header, and `_corrupt`."""
    return spark.read.schema(csv_schema(columns)).options(**csv_options(delimiter)).csv([*map(literal, names)])


def check_delimiter(delimiter: str) -> None:
    """Refuse a character that CSV needs for itself."""
    if delimiter in '"\r\n':
        raise InputError(f"--delimiter {delimiter!r}: cannot separate columns; give the character between two fields")


def header_columns(header: str, delimiter: str) -> list[str]:
    """The names in the first line of a CSV file, as they stand there."""
    return next(csv.reader([header.removeprefix("\ufeff")], delimiter=delimiter), [])


def csv_schema(columns: Sequence[str]) -> T.StructType:
    """All columns of a header as text, and the row where it can't be split."""
    return T.StructType([T.StructField(name, T.StringType()) for name in [*columns, CORRUPT]])


def csv_options(delimiter: str, most_columns: int = MOST_COLUMNS) -> dict[str, str | bool | int]:
    """How Spark reads CSV here: every file's header is held against the schema."""
    return {
        "header": True,
        "enforceSchema": False,
        "sep": delimiter,
        "escape": '"',
        "maxColumns": most_columns,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": CORRUPT,
    }
