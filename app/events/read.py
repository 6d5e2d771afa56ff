"""Reading an event log: CSV (plain or gzip) or Parquet; a file, folder or glob.

Every column is read as text under a declared schema, in one pass and without inference;
`app.events.clean` decides what is an event.
"""

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.errors import InputError
from app.events.schema import RAW_COLUMNS

CORRUPT = "_corrupt"  #: the whole row, where its column count or quoting is wrong
SOURCE_FILE = "source_file"
PARQUET, CSV = "parquet", "csv"
SUFFIXES = {".parquet": PARQUET, ".csv": CSV, ".csv.gz": CSV, ".gz": CSV}


def read_events(spark: SparkSession, source: str, delimiter: str = ",") -> DataFrame:
    """The log's rows as text.

    Parameters
    ----------
    spark
        Session.
    source
        File, folder or glob, local or of any file system Spark knows.
    delimiter
        Field separator of CSV files.

    Returns
    -------
    DataFrame
        `RAW_COLUMNS` (string), `_corrupt` (string; the row, where it could not be split into
        columns) and `source_file`.

    Raises
    ------
    InputError
        Nothing there, no event files, mixed formats, or a column is missing.
    """
    files = list_event_files(spark, source)
    formats = {_format(name) for name, _ in files}
    if len(formats) > 1:
        raise InputError(f"{source}: holds both CSV and Parquet files; point --events at one kind")
    if sum(size for _, size in files) == 0:
        raise InputError(f"{source}: the file is empty; an event log has a header and rows")
    paths = [name for name, size in files if size > 0]
    if formats == {PARQUET}:
        return _read_parquet(spark, source, paths)
    return _read_csv(spark, source, paths, delimiter)


def list_event_files(spark: SparkSession, source: str) -> list[tuple[str, int]]:
    """Files of the log and their sizes in bytes, sorted by name.

    Hidden files (a leading `_` or `.`) are passed over, as Spark does. A file named itself is
    taken whatever its ending; in a folder only known endings are.

    Raises
    ------
    InputError
        The path does not exist, or holds no event files.
    """
    hadoop = spark._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    path = hadoop.Path(source)
    try:
        file_system = path.getFileSystem(spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined]
        matches = file_system.globStatus(path) or []
    except Py4JJavaError as error:
        raise InputError(f"{source}: cannot be read ({error.java_exception.getMessage()})") from None
    if not matches:
        raise InputError(f"{source}: no such file or folder; give --events an existing file, folder or glob")
    files: dict[str, int] = {}
    for match in matches:
        if match.isFile():
            files[match.getPath().toString()] = match.getLen()
            continue
        entries = file_system.listFiles(match.getPath(), True)
        root = len(match.getPath().toString())
        while entries.hasNext():
            entry = entries.next()
            name = entry.getPath().toString()
            hidden = any(part[:1] in ("_", ".") for part in name[root:].split("/") if part)
            if not hidden and name.endswith(tuple(SUFFIXES)):
                files[name] = entry.getLen()
    if not files:
        raise InputError(f"{source}: holds no event files (*.csv, *.csv.gz or *.parquet)")
    return sorted(files.items())


def _format(name: str) -> str:
    return PARQUET if name.endswith(".parquet") else CSV


def _read_csv(spark: SparkSession, source: str, paths: list[str], delimiter: str) -> DataFrame:
    lines = spark.read.text(paths[0]).limit(1).collect()
    header = lines[0].value if lines else ""
    columns = [name.strip().strip('"') for name in header.lstrip("\ufeff").split(delimiter)]
    _check_columns(source, columns, delimiter)
    schema = T.StructType([T.StructField(name, T.StringType()) for name in [*columns, CORRUPT]])
    frame = (
        spark.read.schema(schema)
        .option("header", True)
        .option("enforceSchema", False)  # every file's header is held against the first one's
        .option("sep", delimiter)
        .option("escape", '"')
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", CORRUPT)
        .csv(paths)
    )
    return frame.select(*RAW_COLUMNS, CORRUPT, F.col("_metadata.file_path").alias(SOURCE_FILE))


def _read_parquet(spark: SparkSession, source: str, paths: list[str]) -> DataFrame:
    frame = spark.read.parquet(*paths)
    _check_columns(source, frame.columns, delimiter=None)
    return frame.select(
        *(F.col(name).cast("string").alias(name) for name in RAW_COLUMNS),
        F.lit(None).cast("string").alias(CORRUPT),
        F.col("_metadata.file_path").alias(SOURCE_FILE),
    )


def _check_columns(source: str, columns: list[str], delimiter: str | None) -> None:
    missing = [name for name in RAW_COLUMNS if name not in columns]
    if not missing:
        return
    if len(missing) == len(RAW_COLUMNS) and delimiter is not None:
        for other in (",", ";", "\t", "|"):
            if other != delimiter and "event_time" in [part.strip('" ') for part in columns[0].split(other)]:
                raise InputError(f"{source}: its columns are separated by {other!r}; give --delimiter {other!r}")
        raise InputError(
            f"{source}: is not an event log: its first line has none of the columns {', '.join(RAW_COLUMNS)}"
        )
    raise InputError(f"{source}: column {', '.join(missing)} is missing; it has {', '.join(columns)}")
