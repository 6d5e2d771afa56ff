"""Events as they arrive: files moved into the landing folder."""

from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.core.settings import Settings
from app.events.clean import parse
from app.events.read import CORRUPT, SOURCE_FILE
from app.events.schema import RAW_COLUMNS

CSV_PATTERN, PARQUET_PATTERN = "*.{csv,csv.gz}", "*.parquet"
ARRIVED = "arrived_at"  #: when the file came (its modification time; a rename keeps it)
SEEN = "seen_at"  #: the micro-batch's own time: tells what is new in it from what is history

PARQUET_SCHEMA = T.StructType(
    [
        T.StructField("event_time", T.TimestampType()),
        T.StructField("event_type", T.StringType()),
        T.StructField("product_id", T.LongType()),
        T.StructField("category_id", T.LongType()),
        T.StructField("category_code", T.StringType()),
        T.StructField("brand", T.StringType()),
        T.StructField("price", T.DoubleType()),
        T.StructField("user_id", T.LongType()),
        T.StructField("user_session", T.StringType()),
    ]
)


def event_stream(spark: SparkSession, settings: Settings, landing: Path) -> DataFrame:
    """Rows of the files that arrive, parsed; those with a `reason` can't be events.

    Files are taken by atomic rename: names with a leading dot or underscore are being written.
    The columns stand in the order of `RAW_COLUMNS`; a file's header is not read again. A file that
    can't be read at all (a damaged gzip or Parquet) stops the query: see `app.stream.damaged`.

    Returns
    -------
    DataFrame
        Streaming; columns of `app.events.clean.parse`, with `arrived_at` and `seen_at`.
    """
    text = T.StructType([T.StructField(name, T.StringType()) for name in (*RAW_COLUMNS, CORRUPT)])
    # A damaged file stops the query, is set aside, and is then missing: it is never skipped in silence.
    common = {"maxFilesPerTrigger": settings.files_per_trigger, "ignoreMissingFiles": True}
    csv = (
        spark.readStream.schema(text)
        .options(**common)
        .option("pathGlobFilter", CSV_PATTERN)
        .option("header", True)
        .option("sep", settings.delimiter)
        .option("escape", '"')
        .option("columnNameOfCorruptRecord", CORRUPT)
        .csv(str(landing))
        .select(*RAW_COLUMNS, CORRUPT, *_origin())
    )
    parquet = (
        spark.readStream.schema(PARQUET_SCHEMA)
        .options(**common)
        .option("pathGlobFilter", PARQUET_PATTERN)
        .parquet(str(landing))
        .select(
            *(F.col(name).cast("string").alias(name) for name in RAW_COLUMNS),
            F.lit(None).cast("string").alias(CORRUPT),
            *_origin(),
        )
    )
    # One wrong clock would move the watermark past everyone else's events. Held against the file's arrival,
    # not the present: all queries, and a micro-batch done again, then decide alike.
    latest = F.col(ARRIVED) + F.make_dt_interval(mins=F.lit(settings.clock_tolerance_minutes))
    return parse(csv.unionByName(parquet), latest, settings.max_price, keep=(ARRIVED, SEEN))


def _origin() -> list[Column]:
    return [
        F.col("_metadata.file_path").alias(SOURCE_FILE),
        F.col("_metadata.file_modification_time").alias(ARRIVED),
        F.current_timestamp().alias(SEEN),
    ]


def valid(events: DataFrame) -> DataFrame:
    """Rows that are events."""
    return events.where(F.col("reason").isNull())
