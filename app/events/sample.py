"""The first rows of a file whose layout is not known yet, as text."""

import csv
import gzip
import re
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from app.core.errors import InputError
from app.events.vocabulary import MISSING_TEXT

ROWS = 200_000  #: as many as show rare event types and cancelled lines too
DELIMITERS = (",", "\t", ";", "|")
ENDINGS = (".parquet", ".csv", ".csv.gz", ".gz")
SNIFFED_LINES = 200
LIKE_HEADER = 0.8  #: share of lines that must have as many fields as the header
NAME = re.compile(r"[^\W\d_]")  #: a column's name holds a letter


@dataclass(frozen=True)
class Sample:
    """Rows of a file.

    `rows` holds all columns as text, null where nothing stands there; `times` names those that are times
    by their type; `delimiter` is None for Parquet; `whole`: whether there are no further rows.
    """

    file: Path
    delimiter: str | None
    rows: pd.DataFrame
    times: frozenset[str]
    whole: bool


def read_sample(source: str, rows: int = ROWS) -> Sample:
    """The first rows of a local CSV (plain or gzip) or Parquet file, or of the first such file of a folder.

    Raises
    ------
    InputError
        Nothing there, not readable, no line of column names, or no delimiter that fits.
    """
    file = _first_file(source)
    try:
        with file.open("rb") as content:
            magic = content.read(4)
        return _parquet(file, rows) if magic == b"PAR1" else _text(file, rows, packed=magic[:2] == b"\x1f\x8b")
    except (OSError, EOFError, pa.ArrowException, csv.Error, pd.errors.ParserError) as error:
        raise InputError(f"{file}: can't be read ({str(error).splitlines()[0]}); give a CSV or Parquet file") from None


def _first_file(source: str) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{source}: no such file; give --events a local CSV (plain or gzip) or Parquet file")
    files = sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS) and file.name[0] not in "._")
    if not files:
        raise InputError(f"{source}: holds no event files (*.csv, *.csv.gz or *.parquet)")
    return files[0]


def _parquet(file: Path, most: int) -> Sample:
    with pq.ParquetFile(file) as content:
        flat = [field.name for field in content.schema_arrow if not pa.types.is_nested(field.type)]
        batch = next(content.iter_batches(most, columns=flat), None)
        if batch is None:
            raise InputError(f"{file}: has no rows")
        total = content.metadata.num_rows
    times = frozenset(field.name for field in batch.schema if pa.types.is_temporal(field.type))
    rows = pd.DataFrame({name: _as_text(batch.column(name)) for name in flat})
    return Sample(file, None, rows, times, len(rows) == total)


def _as_text(column: pa.Array) -> "pd.Series[str]":
    if pa.types.is_floating(column.type):
        values = column.to_pandas()
        whole = (values.dropna() % 1 == 0).all()
        return (values.astype("Int64") if whole else values).astype("string")
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    return _without_gaps(column.to_pandas().astype("string"))


def _without_gaps(text: "pd.Series[str]") -> "pd.Series[str]":
    """Null in place of words for nothing; integers that pandas wrote as floats without their ".0"."""
    text = text.str.strip()
    text = text.mask(text.str.lower().isin(MISSING_TEXT))
    return text.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)


def _text(file: Path, most: int, *, packed: bool) -> Sample:
    with gzip.open(file, "rb") if packed else file.open("rb") as content:
        lines = [line.decode(errors="replace") for line in islice(content, most + 2)]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise InputError(f"{file}: is empty; an event log has a header and rows")
    lines[0] = lines[0].removeprefix("\ufeff")
    delimiter = _delimiter(file, lines[:SNIFFED_LINES])
    names = [name.strip() for name in next(csv.reader([lines[0]], delimiter=delimiter))]
    nameless = [name for name in names if name and not NAME.search(name)]
    if nameless:
        raise InputError(
            f"{file}: has no line of column names (it begins with {lines[0].strip()[:60]!r}); put one on top, such as "
            f"user_id{delimiter}event_time{delimiter}product_id"
        )
    rows = pd.read_csv(
        StringIO("".join(lines[1 : most + 1])),
        sep=delimiter,
        names=names,
        header=None,
        index_col=False,
        dtype="string",
        keep_default_na=False,
        on_bad_lines="skip",
    )
    if rows.empty:
        raise InputError(f"{file}: has a header but no rows")
    return Sample(file, delimiter, rows.apply(_without_gaps), frozenset(), len(lines) <= most + 1)


def _delimiter(file: Path, lines: list[str]) -> str:
    """The character that splits most lines into as many fields as the first."""

    def fit(delimiter: str) -> tuple[float, int]:
        counts = [len(fields) for fields in csv.reader(lines, delimiter=delimiter)]
        return sum(count == counts[0] for count in counts) / len(counts), counts[0]

    fits = {delimiter: fit(delimiter) for delimiter in DELIMITERS}
    good = [delimiter for delimiter, (share, fields) in fits.items() if fields > 1 and share >= LIKE_HEADER]
    if not good:
        start = lines[0].strip()[:60]
        what = "blanks separate its columns" if len(start.split()) > 1 else "nothing separates columns in it"
        raise InputError(
            f"{file}: {what} (it begins with {start!r}); write it as CSV, whose first line names the columns"
        )
    return max(good, key=lambda delimiter: fits[delimiter])
