"""From a log to the stored events table, every row accounted for."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from app.core import duck
from app.core.duck import Relation, query
from app.core.errors import InputError, VitrineError
from app.core.files import PARTS
from app.core.folders import CLEANED, REJECTED
from app.core.parts import Part, by_part, read_table, write_parts
from app.core.settings import Settings
from app.core.spark import shuffle_partitions
from app.events.archive_manifest import recent
from app.events.canonical import LEFT_OUT
from app.events.clean import REASONS, event_rows, is_event, parse, rejected_rows
from app.events.distinct import events_table
from app.events.forgotten import NOBODY, Forgotten
from app.events.forgotten_rows import FORGOTTEN, without_forgotten
from app.events.identity import identity
from app.events.layout import Layout, layout_of
from app.events.merged import NOBODY_MERGED, Merged
from app.events.merged_rows import as_survivors
from app.events.plain import CleaningRules
from app.events.plain_parts import plain_count, read_plain
from app.events.plain_rows import PlainParts
from app.events.read import LogRows, list_event_files, read_log
from app.events.schema import CLEANED_SCHEMA

OLD = "before the days that a training reads"  #: reason of `left_out`, beside those of the layout's rules
GZIP_RATIO = 5  #: text is about so much larger than its gzip


@dataclass(frozen=True)
class CleaningReport:
    """What became of the rows; read = kept + duplicates + rejected + left out, always.

    `reasons` counts rejected rows by why they can't be events, `left_out` those that a rule of the layout
    leaves out, by the rule's reason.
    """

    read: int
    kept: int
    duplicates: int
    rejected: int
    reasons: dict[str, int]
    left_out: dict[str, int]
    cleaned: Path
    rejected_table: Path | None


def fit_partitions(spark: SparkSession, settings: Settings, source: str) -> None:
    """Set shuffle partitions that fit the log, unless a setting says how many."""
    if settings.shuffle_partitions is None:
        files = dict(list_event_files(spark, source))
        read = files if settings.training_days is None else recent([*files], settings.training_days)
        size = sum(files[name] * (GZIP_RATIO if name.endswith(".gz") else 1) for name in read)
        count = shuffle_partitions(size, spark.sparkContext.defaultParallelism)
        spark.conf.set("spark.sql.shuffle.partitions", str(count))


def ingest(
    spark: SparkSession,
    settings: Settings,
    source: str,
    folder: Path,
    stamp: str,
    now: datetime,
    forgotten: Forgotten = NOBODY,
    merged: Merged = NOBODY_MERGED,
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
    forgotten
        Users whose earlier rows are left out.
    merged
        Users whose rows are others' now.

    Raises
    ------
    InputError
        The log is empty, more than `max_rejected_share` of its rows can't be events (those that are left
        out don't count), or two ids get the same number.
    """
    layout = layout_of(settings)
    target = folder / f"{CLEANED}{stamp}"
    cleaning = CleaningRules(layout, now, settings.max_price, forgotten, merged)
    with _aside(spark, settings, cleaning, folder) as aside:
        log = read_log(spark, source, layout, settings.training_days, aside)
        rows = None if log.rows is None else _ruled(log.rows, cleaning, settings.training_days)
        try:
            counts = _write_cleaned(spark, log, rows, target, layout, settings.session_idle_minutes)
            _check_share(source, counts, settings.max_rejected_share)
            if layout.ids == "text":
                check_collisions([read_cleaned(spark, target)], source)
        except AnalysisException:  # nothing was written yet
            raise
        except FileExistsError:  # not ours to delete
            raise InputError(f"{target}: another run is just writing the same table to --output: start again") from None
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        rejected = sum(counts.rejected.values())
        table = _store_rejected(rows, folder / f"{REJECTED}{stamp}") if rows is not None and rejected else None
        kept, copies = kept_rows(target)
        report = CleaningReport(
            counts.read, kept, copies - kept, rejected, counts.rejected, counts.left_out, target, table
        )
        return _accounted(report, copies, rows, plain_count(log.plain))


@contextmanager
def _aside(
    spark: SparkSession, settings: Settings, cleaning: CleaningRules, folder: Path
) -> Iterator[PlainParts | None]:
    """Where plain rows are put aside meanwhile; None where a rule looks at all rows together."""
    if settings.training_days is not None:
        yield None
        return
    parts = int(str(spark.conf.get("spark.sql.shuffle.partitions")))
    scratch = folder / f"{PARTS}{uuid4().hex}"
    try:
        yield PlainParts(cleaning, scratch, parts)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _ruled(rows: DataFrame, cleaning: CleaningRules, days: float | None) -> DataFrame:
    """Rows of text as what the rules make of them."""
    parsed = parse(rows, cleaning.latest, cleaning.max_price, cleaning.layout)
    if days is not None:
        parsed = _without_old(parsed, days)
    return as_survivors(without_forgotten(parsed, cleaning.forgotten), cleaning.merged)


def kept_rows(table: Path) -> tuple[int, int]:
    """Events of a stored events table, and the rows of the log that they were."""
    with duck.connect(table.parent) as connection:
        events = read_table(connection, table)
        ((kept, rows),) = events.aggregate("count(*), coalesce(sum(copies), 0)::bigint").fetchall()
    return kept, rows


def read_cleaned(spark: SparkSession, path: Path | str) -> DataFrame:
    """A stored events table; columns that an older one lacks are null."""
    return spark.read.schema(CLEANED_SCHEMA).parquet(str(path))


@dataclass(frozen=True)
class _Counts:
    """Rows read, rejected by reason, and left out by reason."""

    read: int
    rejected: dict[str, int]
    left_out: dict[str, int]


def _write_cleaned(
    spark: SparkSession, log: LogRows, parsed: DataFrame | None, target: Path, layout: Layout, idle_minutes: int
) -> _Counts:
    """Write the events of the rows that went by the rules, which are counted on their way, and of plain ones."""
    same, plain = identity(layout), log.plain

    def store(part: Part, ruled: Relation | None) -> None:
        put_aside = None if plain is None else read_plain(part.connection, plain, part.number)
        rows = _together([rows for rows in (ruled, put_aside) if rows is not None])
        part.write(target.name, events_table(rows, same, idle_minutes))

    if parsed is None:
        assert plain is not None
        by_part(spark, plain.parts, lambda part: store(part, None), target.parent)
        return _Counts(plain_count(plain), {}, {})
    rules = [*(rule.reason for rule in layout.leave_out), OLD, FORGOTTEN]
    seen = Observation("read")
    measures = [F.count("*").alias("read")]
    measures += [F.count_if(F.col("reason") == name).alias(f"r{i}") for i, name in enumerate(REASONS)]
    measures += [F.count_if(F.col(LEFT_OUT) == name).alias(f"l{i}") for i, name in enumerate(rules)]
    rows = event_rows(parsed.observe(seen, *measures), layout, plain.parts if plain else None)
    schema = to_arrow_schema(rows.schema)

    def store_ruled(part: Part, batches: Iterator[pa.RecordBatch]) -> None:
        store(part, part.connection.from_arrow(pa.RecordBatchReader.from_batches(schema, batches)))

    write_parts(rows, store_ruled, target.parent)
    try:
        found = seen.get
    except Py4JJavaError:  # Spark has no figures where no row came by
        row = parsed.agg(*measures).first()
        assert row is not None
        found = row.asDict()
    read = found["read"] + plain_count(plain)
    return _Counts(read, _above_zero(found, "r", REASONS), _above_zero(found, "l", rules))


def _together(found: Sequence[Relation]) -> Relation:
    return reduce(lambda one, other: query("from one union all by name from other", one=one, other=other), found)


def _without_old(parsed: DataFrame, days: float) -> DataFrame:
    """Leave out events that came so many days before the latest one."""
    row = parsed.where(is_event()).agg(F.max("event_time").alias("latest")).first()
    if row is None or row["latest"] is None:
        return parsed
    old = is_event() & (F.col("event_time") < F.lit(row["latest"] - timedelta(days=days)))
    return parsed.withColumn(LEFT_OUT, F.when(old, OLD).otherwise(F.col(LEFT_OUT)))


def _above_zero(found: dict[str, int], prefix: str, names: Sequence[str]) -> dict[str, int]:
    return {name: found[f"{prefix}{i}"] for i, name in enumerate(names) if found[f"{prefix}{i}"]}


def _check_share(source: str, counts: _Counts, allowed: float) -> None:
    if counts.read == 0:
        raise InputError(f"{source}: has a header but no rows")
    left_out = sum(counts.left_out.values())
    rows = counts.read - left_out
    if rows == 0:
        raise InputError(
            f"{source}: all {left_out:,} rows are left out by the layout's rules ({_told(counts.left_out)})"
        )
    rejected = sum(counts.rejected.values())
    if rejected == rows or rejected / rows > allowed:
        told = _told(counts.rejected)
        raise InputError(
            f"{source}: {rejected:,} of {rows:,} rows ({rejected / rows:.1%}) are no events ({told}); more than "
            f"--max-rejected-share {allowed:.0%}, so it is probably not an event log"
        )


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items())


def check_collisions(tables: Sequence[DataFrame], source: str) -> None:
    """Refuse a log in which two of the shop's ids have the same internal number.

    Parameters
    ----------
    tables
        With product_id and product_key, and user_id and user_key where they have users.
    source
        Of which the error speaks.

    Raises
    ------
    InputError
        Names two such ids.
    """
    ids = [
        table.select(F.lit(kind).alias("kind"), F.col(f"{kind}_id").alias("number"), F.col(f"{kind}_key").alias("key"))
        for table in tables
        for kind in ("user", "product")
        if f"{kind}_key" in table.columns
    ]
    numbers = reduce(DataFrame.unionByName, ids).groupBy("kind", "number")
    two = numbers.agg(F.min("key").alias("one"), F.max("key").alias("other")).where(F.col("one") != F.col("other"))
    found = two.first()
    if found is not None:
        raise InputError(
            f"{source}: the {found['kind']} ids {found['one']!r} and {found['other']!r} get the same internal number; "
            "rename one of them in the log"
        )


def _store_rejected(parsed: DataFrame, path: Path) -> Path:
    """A second pass over the text, which only a log with bad rows needs."""
    rejected_rows(parsed).write.parquet(str(path))
    return path


def _accounted(report: CleaningReport, rows_kept: int, parsed: DataFrame | None, plain: int) -> CleaningReport:
    if report.read == rows_kept + report.rejected + sum(report.left_out.values()):
        return report
    # Counts taken on the fly are too high where a lost executor's work was done again: count afresh.
    by_reason = {column: _counted(parsed, column) for column in ("reason", LEFT_OUT)}
    read = sum(by_reason["reason"].values()) + plain
    reasons, left_out = ({name: n for name, n in found.items() if name} for found in by_reason.values())
    rejected, out = sum(reasons.values()), sum(left_out.values())
    if read != rows_kept + rejected + out:
        raise VitrineError(
            f"rows are lost: {read:,} read, but {report.kept:,} kept, {report.duplicates:,} duplicates, "
            f"{rejected:,} rejected and {out:,} left out; did the log change during the run?"
        )
    return replace(report, read=read, rejected=rejected, reasons=reasons, left_out=left_out)


def _counted(parsed: DataFrame | None, column: str) -> dict[str | None, int]:
    return {} if parsed is None else {row[column]: row["count"] for row in parsed.groupBy(column).count().collect()}
