"""Event files as replay reads them, batch by batch, and the small files that it lands."""

import csv
import glob
import gzip
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from app.core.errors import InputError
from app.events.layout import REES46, Layout, TimeFormat
from app.events.times import EPOCHS, ISO, has_zone, strptime_format

SUFFIXES = (".csv", ".csv.gz", ".parquet")
BATCH_ROWS = 16_384
NOT_A_TIME = np.iinfo(np.int64).min  # what NaT is in numpy

Times = NDArray[np.int64]  # microseconds since 1970, UTC


class CsvEvents:
    """CSV files, plain or gzip, as lines: a row is landed as it stands, even one that is no event."""

    suffix = ".csv"

    def __init__(self, files: list[Path], layout: Layout = REES46) -> None:
        self.files, self.time = files, layout.time
        self.delimiter = layout.delimiter.encode()
        self.header = self._header(files[0])
        names = [name.strip(b'" ') for name in self.header.split(self.delimiter)]
        column = layout.columns.event_time
        if column.encode() not in names:
            raise InputError(f"{files[0]}: has no column {column} in its first line; is it an event log in CSV?")
        self.time_at = names.index(column.encode())
        for file in files[1:]:
            if self._header(file) != self.header:
                raise InputError(f"{file}: its columns differ from those of {files[0]}; replay them apart")

    def batches(self, skip: int) -> Iterator[tuple[Times, list[bytes]]]:
        """Times and lines of all rows after the first `skip`."""
        lines = islice(self._lines(), skip, None)
        while batch := list(islice(lines, BATCH_ROWS)):
            yield parse_times([self._time(line) for line in batch], self.time), batch

    def check_writable(self) -> None:
        """See that times can be written as they are read.

        Raises
        ------
        InputError
            They are written by a pattern.
        """
        if self.time.format not in (ISO, *EPOCHS):
            raise InputError(
                f"--replay-present: times by the pattern {self.time.format} cannot be written anew; "
                "ISO text and numbers can"
            )

    def at(self, rows: Sequence[bytes], times: Times) -> list[bytes]:
        """Rows with other times; one without a column of times stays as it is."""
        return [self._at(row, text) for row, text in zip(rows, _written(times, self.time), strict=True)]

    def write(self, path: Path, parts: list[Sequence[bytes]]) -> None:
        """Write rows as one file, header first."""
        path.write_bytes(b"\n".join([self.header, *(line for part in parts for line in part)]) + b"\n")

    def _header(self, file: Path) -> bytes:
        return next(_read_lines(file), b"").removeprefix(b"\xef\xbb\xbf")

    def _lines(self) -> Iterator[bytes]:
        for file in self.files:
            yield from filter(None, islice(_read_lines(file), 1, None))

    def _at(self, line: bytes, time: str) -> bytes:
        if b'"' in line:
            fields = next(csv.reader([line.decode(errors="replace")], delimiter=self.delimiter.decode()), [])
            if len(fields) <= self.time_at:
                return line
            fields[self.time_at] = time
            text = io.StringIO()
            csv.writer(text, delimiter=self.delimiter.decode(), lineterminator="").writerow(fields)
            return text.getvalue().encode()
        parts = line.split(self.delimiter)
        if len(parts) > self.time_at:
            parts[self.time_at] = time.encode()
        return self.delimiter.join(parts)

    def _time(self, line: bytes) -> str:
        if b'"' in line:
            text = next(csv.reader([line.decode(errors="replace")], delimiter=self.delimiter.decode()), [])
            return text[self.time_at] if len(text) > self.time_at else ""
        fields = line.split(self.delimiter, self.time_at + 1)
        return fields[self.time_at].decode(errors="replace") if len(fields) > self.time_at else ""


class ParquetEvents:
    """Parquet files, read in record batches."""

    suffix = ".parquet"

    def __init__(self, files: list[Path], layout: Layout = REES46) -> None:
        self.files, self.time, self.column = files, layout.time, layout.columns.event_time
        for file in files:
            try:
                schema = pq.read_schema(file)
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{file}: is not readable Parquet ({str(error).splitlines()[0]})") from None
            if self.column not in schema.names:
                raise InputError(f"{file}: has no column {self.column}; is it an event log?")

    def batches(self, skip: int) -> Iterator[tuple[Times, pa.RecordBatch]]:
        """Times and rows after the first `skip`."""
        for file in self.files:
            with pq.ParquetFile(file) as parquet:
                if skip >= parquet.metadata.num_rows:
                    skip -= parquet.metadata.num_rows
                    continue
                for batch in parquet.iter_batches(BATCH_ROWS):
                    rows = batch.slice(skip)
                    skip -= min(skip, batch.num_rows)
                    if rows.num_rows:
                        yield parse_times(rows.column(self.column).to_pandas(), self.time), rows

    def check_writable(self) -> None:
        """See that times can be written as they are read.

        Raises
        ------
        InputError
            They are no timestamps.
        """
        kind = pq.read_schema(self.files[0]).field(self.column).type
        if not pa.types.is_timestamp(kind):
            raise InputError(
                f"--replay-present: {self.files[0]}: times are of type {kind}; timestamps can be written anew"
            )

    def at(self, rows: pa.RecordBatch, times: Times) -> pa.RecordBatch:
        """Rows with other times."""
        place = rows.schema.get_field_index(self.column)
        kind = rows.schema.field(place).type
        utc = pd.Series(pd.to_datetime(times, unit="us", utc=True))
        local = utc if kind.tz else utc.dt.tz_convert(self.time.zone).dt.tz_localize(None)
        column = pa.Array.from_pandas(local.dt.floor("ms" if kind.unit == "ms" else "us"), type=kind, safe=False)
        return rows.set_column(place, rows.schema.field(place), column)

    def write(self, path: Path, parts: list[pa.RecordBatch]) -> None:
        """Write rows as one file."""
        table = pa.Table.from_batches(parts)
        # The stream has no times as fine as those that pandas and Spark's INT96 give.
        fine = any(pa.types.is_timestamp(kind) and kind.unit == "ns" for kind in table.schema.types)
        pq.write_table(table, path, coerce_timestamps="us" if fine else None, allow_truncated_timestamps=fine)


Events = CsvEvents | ParquetEvents


def open_events(source: str, layout: Layout = REES46) -> Events:
    """The event files of a local file, folder or glob, in the order of their names.

    Raises
    ------
    InputError
        Nothing there, no rows, mixed formats, or no column of times.
    """
    files = _find(source)
    parquet = {file.name.endswith(".parquet") for file in files}
    if len(parquet) > 1:
        raise InputError(f"{source}: holds both CSV and Parquet files; name one kind")
    return (ParquetEvents if parquet == {True} else CsvEvents)(files, layout)


def parse_times(values: Any, time: TimeFormat = REES46.time) -> Times:
    """Times as microseconds; one that can't be read is taken as that of the row before.

    Parameters
    ----------
    values
        Times of any type, in the order of the rows.
    time
        How those that are no times by type are written.

    Returns
    -------
    ndarray
        `NOT_A_TIME` where no row before has a time either.
    """
    series = pd.Series(values)
    if not isinstance(series.dtype, pd.DatetimeTZDtype) and series.dtype.kind != "M":
        series = _read_times(series, time)
    if series.dt.tz is None:
        series = series.dt.tz_localize(time.zone, ambiguous=False, nonexistent="shift_forward")
    times = series.ffill().dt.tz_convert("UTC").dt.tz_localize(None)
    return times.to_numpy().astype("datetime64[us]").astype(np.int64)


def _read_times(series: "pd.Series[Any]", time: TimeFormat) -> "pd.Series[Any]":
    if time.format in EPOCHS:
        micros = pd.to_numeric(series, errors="coerce") * EPOCHS[time.format]
        return pd.to_datetime(micros, unit="us", errors="coerce", utc=True)
    if time.format != ISO:
        zoned = has_zone(time.format)
        return pd.to_datetime(
            series.astype("string").str.strip(), format=strptime_format(time.format), errors="coerce", utc=zoned
        )
    text = series.astype("string").str.slice(0, 19)
    text = text.where(text.str.len() == 19).str.replace("T", " ")  # pandas would take "now" and "today" for times
    return pd.to_datetime(text, format="%Y-%m-%d %H:%M:%S", errors="coerce")


def _written(times: Times, time: TimeFormat) -> list[str]:
    """Times as a log of this format has them."""
    if time.format in EPOCHS:
        return [str(moment // EPOCHS[time.format]) for moment in times.tolist()]
    moments = pd.Series(pd.to_datetime(times, unit="us", utc=True))
    return moments.dt.strftime("%Y-%m-%d %H:%M:%S.%f UTC").tolist()


def _find(source: str) -> list[Path]:
    names = sorted(glob.glob(source)) if glob.has_magic(source) else [source]
    files: list[Path] = []
    for path in map(Path, names):
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
            hidden = ("_", ".")
            files += sorted(f for f in inside if not any(p[0] in hidden for p in f.relative_to(path).parts))
        elif path.is_file():
            files.append(path)
    if not files:
        raise InputError(
            f"{source}: no event file (*.csv, *.csv.gz or *.parquet) there; give an existing file or folder"
        )
    files = [file for file in files if file.stat().st_size > 0]
    if not files:
        raise InputError(f"{source}: is empty; an event log has a header and rows")
    return files


def _read_lines(file: Path) -> Iterator[bytes]:
    """The lines of a file, without their ends."""
    try:
        with gzip.open(file, "rb") if file.name.endswith(".gz") else file.open("rb") as lines:
            for line in lines:
                yield line.rstrip(b"\r\n")
    except (OSError, EOFError) as error:
        raise InputError(f"{file}: can't be read ({error})") from None
