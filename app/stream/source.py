"""Events as they arrive: files moved into the landing folder."""

import gzip
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.core.failures import column_mismatch
from app.core.settings import Settings
from app.events.canonical import CORRUPT, canonical
from app.events.clean import parse
from app.events.csv_text import HEADER_CHARACTERS, check_delimiter, csv_options, csv_schema, header_columns
from app.events.layout import Layout, layout_of
from app.events.log_files import literal
from app.events.read import not_corrupt, origin_file, shop_rows
from app.events.times import EPOCHS, ISO

CSV_PATTERN, PARQUET_PATTERN = "*.{csv,csv.gz}", "*.parquet"
CSV_SUFFIXES = (".csv", ".csv.gz")
#: Spark's parser allocates arrays of this size for every file; with a million, the garbage collector took more time
#: than all tasks together. A file with a longer line can't be read, and is set aside.
MOST_COLUMNS = 4_096
#: A file is read whatever its modification time: by Spark's default of seven days, one that bears a time far in the
#: future would keep every later one from being read. The price: Spark forgets no name by itself (`source_names`).
ANY_AGE = "365000d"
ARRIVED = "arrived_at"  #: when the file came (its modification time; a rename keeps it)

#: Types of Parquet columns until the first file has shown its own; all others are text.
TYPES: dict[str, T.DataType] = {
    "product_id": T.LongType(),
    "category_id": T.LongType(),
    "price": T.DoubleType(),
    "user_id": T.LongType(),
    "quantity": T.DoubleType(),
}


def event_stream(spark: SparkSession, settings: Settings, landing: Path) -> DataFrame:
    """Rows of the files that arrive, parsed; those with a `reason` can't be events.

    Files are taken by atomic rename: names with a leading dot or underscore are being written. The first
    CSV file in the folder determines their columns and the order of them; likewise with Parquet. A file
    with others, or one that can't be read at all (a damaged gzip or Parquet), stops the query: see
    `takes_new_columns` and `app.stream.damaged`.

    Returns
    -------
    DataFrame
        Streaming; columns of `app.events.clean.parse`, with `arrived_at`.
    """
    layout = layout_of(settings)
    check_delimiter(layout.delimiter)
    # A damaged file stops the query, is set aside, and is then missing: it is never skipped silently.
    common: dict[str, str | int | bool] = {
        "maxFilesPerTrigger": settings.files_per_trigger,
        "maxFileAge": ANY_AGE,
        "ignoreMissingFiles": True,
    }
    csv = (
        spark.readStream.schema(csv_schema(_csv_columns(landing, layout) or layout.named_columns()))
        .options(**common, pathGlobFilter=CSV_PATTERN, **csv_options(layout.delimiter, MOST_COLUMNS))
        .csv(str(landing))
    )
    parquet = (
        spark.readStream.schema(_parquet_schema(spark, landing, layout) or _expected(layout))
        .options(**common, pathGlobFilter=PARQUET_PATTERN)
        .parquet(str(landing))
    )
    return _parsed(_csv_rows(csv, layout).unionByName(_parquet_rows(parquet, layout)), settings)


def event_files(spark: SparkSession, settings: Settings, files: Sequence[Path]) -> DataFrame:
    """The same rows of files that lie in the landing folder, as no stream."""
    layout = layout_of(settings)
    names = {path: literal(str(path)) for path in files}
    parquet = [name for path, name in names.items() if path.suffix == ".parquet"]
    frames = [_parquet_rows(spark.read.parquet(*parquet), layout)] if parquet else []
    for path, name in names.items():  # one by one: their headers may differ
        if path.suffix != ".parquet":
            columns = _csv_header(path, layout) or layout.named_columns()
            reader = spark.read.schema(csv_schema(columns)).options(**csv_options(layout.delimiter, MOST_COLUMNS))
            frames.append(_csv_rows(reader.csv(name), layout))
    return _parsed(reduce(DataFrame.unionByName, frames), settings)


def _csv_rows(frame: DataFrame, layout: Layout) -> DataFrame:
    return canonical(shop_rows(frame, layout.named_columns(), F.col(CORRUPT), *_origin()), layout, (ARRIVED,))


def _parquet_rows(frame: DataFrame, layout: Layout) -> DataFrame:
    return canonical(shop_rows(frame, layout.named_columns(), not_corrupt(), *_origin()), layout, (ARRIVED,))


def _parsed(rows: DataFrame, settings: Settings) -> DataFrame:
    # One wrong clock would move the watermark past everyone else's events. Compared with the file's arrival,
    # not with the present, so that a repeated micro-batch decides alike.
    latest = F.col(ARRIVED) + F.make_dt_interval(mins=F.lit(settings.clock_tolerance_minutes))
    return parse(rows, latest, settings.max_price, layout_of(settings), (ARRIVED,))


def takes_new_columns(error: BaseException, settings: Settings, landing: Path) -> bool:
    """Whether a query that failed because of a file's columns would read the file if it were started again.

    This is so if the query started while the folder was empty, and the first file has its columns in
    another order than the layout.
    """
    mismatch = column_mismatch(error)
    columns = _csv_columns(landing, layout_of(settings))
    if mismatch is None or columns is None:
        return False
    now: str | int = ", ".join(columns).lower() if isinstance(mismatch.found, str) else len(columns)
    return now == mismatch.found != mismatch.expected


def _origin() -> list[Column]:
    return [origin_file(), F.col("_metadata.file_modification_time").alias(ARRIVED)]


def _arrivals(landing: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files in the order in which Spark takes them."""
    files = [path for path in landing.glob("*") if path.name.endswith(suffixes) and path.name[0] not in "._"]
    arrived = {path: path.stat().st_mtime_ns for path in files if path.exists()}
    return sorted(arrived, key=lambda path: (arrived[path], path.name))


def _csv_columns(landing: Path, layout: Layout) -> list[str] | None:
    """Columns of the first CSV file that has all that the layout needs; None if there is no such file."""
    columns = (_csv_header(path, layout) for path in _arrivals(landing, CSV_SUFFIXES))
    return next((found for found in columns if found is not None), None)


def _csv_header(path: Path, layout: Layout) -> list[str] | None:
    """Columns of a CSV file; None if it lacks some, or can't be read."""
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            header = file.readline(HEADER_CHARACTERS).decode(errors="replace").rstrip("\r\n")
    except (OSError, EOFError):  # damaged or gone: Spark will fail on it, and it is reported then
        return None
    columns = header_columns(header, layout.delimiter)
    return columns if set(layout.named_columns()) <= {name.strip() for name in columns} else None


def _parquet_schema(spark: SparkSession, landing: Path, layout: Layout) -> T.StructType | None:
    """Schema of the first Parquet file that has all columns that the layout needs."""
    for path in _arrivals(landing, (".parquet",)):
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowException, OSError):
            continue
        if set(layout.named_columns()) <= set(names):
            return spark.read.parquet(literal(str(path))).schema
    return None


def _expected(layout: Layout) -> T.StructType:
    times: dict[str, T.DataType] = {ISO: T.TimestampType(), **dict.fromkeys(EPOCHS, T.LongType())}
    types = {shop: TYPES[name] for name, shop in layout.columns if isinstance(shop, str) and name in TYPES}
    if layout.ids == "text":
        types |= {layout.columns.product_id: T.StringType(), layout.columns.user_id: T.StringType()}
    types[layout.columns.event_time] = times.get(layout.time.format, T.StringType())
    return T.StructType([T.StructField(name, types.get(name, T.StringType())) for name in layout.named_columns()])
