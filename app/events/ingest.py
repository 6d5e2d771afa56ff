"""From a log to the stored events table, every row accounted for."""

import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from app.core.errors import InputError, VitrineError
from app.core.folders import CLEANED, REJECTED
from app.core.settings import Settings
from app.core.spark import shuffle_partitions
from app.events.clean import REASONS, clean, parse, rejected_rows
from app.events.read import list_event_files, read_events

GZIP_RATIO = 5  #: text is about so much larger than its gzip


@dataclass(frozen=True)
class CleaningReport:
    """What became of the rows; read = kept + duplicates + rejected, always."""

    read: int
    kept: int
    duplicates: int
    rejected: int
    reasons: dict[str, int]
    cleaned: Path
    rejected_table: Path | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit_partitions(spark: SparkSession, settings: Settings, source: str) -> None:
    """Set shuffle partitions that fit the log, unless a setting says how many."""
    if settings.shuffle_partitions is None:
        files = list_event_files(spark, source)
        size = sum(length * (GZIP_RATIO if name.endswith(".gz") else 1) for name, length in files)
        count = shuffle_partitions(size, spark.sparkContext.defaultParallelism)
        spark.conf.set("spark.sql.shuffle.partitions", str(count))


def ingest(
    spark: SparkSession, settings: Settings, source: str, folder: Path, stamp: str, now: datetime
) -> CleaningReport:
    """Read and clean a log, and store `cleaned_data_<stamp>` and, if need be, `rejected_<stamp>`.

    Parameters
    ----------
    spark, settings
        Session and settings.
    source
        The log, or several separated by commas.
    folder
        Where the tables go.
    stamp
        YYYYMMDD_HHMMSS.
    now
        Events later than a day after this are out of range.

    Raises
    ------
    InputError
        The log is empty, or more than `max_rejected_share` of its rows can't be events.
    """
    target = folder / f"{CLEANED}{stamp}"
    parsed = parse(read_events(spark, source, settings.delimiter), now, settings.max_price)
    try:
        read, counts = _write_cleaned(parsed, target)
        _check_share(source, read, counts, settings.max_rejected_share)
    except AnalysisException:  # nothing was written yet, and the table may be another run's
        raise
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    rejected = sum(counts.values())
    table = _store_rejected(parsed, folder / f"{REJECTED}{stamp}") if rejected else None
    row = spark.read.parquet(str(target)).agg(F.count("*").alias("kept"), F.sum("copies").alias("rows")).first()
    assert row is not None
    report = CleaningReport(read, row["kept"], row["rows"] - row["kept"], rejected, counts, target, table)
    return _accounted(report, row["rows"], parsed)


def _write_cleaned(parsed: DataFrame, target: Path) -> tuple[int, dict[str, int]]:
    """Rows read and rows rejected by reason, counted on their way into the table."""
    seen = Observation("read")
    measures = [F.count("*").alias("read")]
    measures += [F.count_if(F.col("reason") == name).alias(f"r{i}") for i, name in enumerate(REASONS)]
    clean(parsed.observe(seen, *measures)).write.parquet(str(target))
    try:
        found = seen.get
    except Py4JJavaError:  # Spark has no figures where no row came by
        row = parsed.agg(*measures).first()
        assert row is not None
        found = row.asDict()
    return found["read"], {name: found[f"r{i}"] for i, name in enumerate(REASONS) if found[f"r{i}"]}


def _check_share(source: str, read: int, counts: dict[str, int], allowed: float) -> None:
    if read == 0:
        raise InputError(f"{source}: has a header but no rows")
    rejected = sum(counts.values())
    if rejected == read or rejected / read > allowed:
        reasons = ", ".join(f"{name}: {count:,}" for name, count in counts.items())
        raise InputError(
            f"{source}: {rejected:,} of {read:,} rows ({rejected / read:.1%}) are no events ({reasons}); more than "
            f"--max-rejected-share {allowed:.0%}, so it is probably not an event log"
        )


def _store_rejected(parsed: DataFrame, path: Path) -> Path:
    """A second pass over the text, which only a log with bad rows needs."""
    rejected_rows(parsed).write.parquet(str(path))
    return path


def _accounted(report: CleaningReport, rows_kept: int, parsed: DataFrame) -> CleaningReport:
    if report.read == rows_kept + report.rejected:
        return report
    # Counts taken on the fly are too high where a lost executor's work was done again: count afresh.
    read = parsed.count()
    rejected = parsed.where(F.col("reason").isNotNull()).count()
    if read != rows_kept + rejected:
        raise VitrineError(
            f"rows are lost: {read:,} read, but {report.kept:,} kept, {report.duplicates:,} duplicates and "
            f"{rejected:,} rejected; did the log change during the run?"
        )
    return CleaningReport(**(asdict(report) | {"read": read, "rejected": rejected}))
