"""The stages before any recommender: the log cleaned and explored, features, segments and profiles."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.core.errors import InputError
from app.core.folders import CLEANED, PRODUCTS, USERS, is_synthetic, label_synthetic, latest_complete
from app.events.ingest import CleaningReport, check_collisions, fit_partitions, ingest, read_cleaned
from app.events.read import list_event_files
from app.events.sessions import with_session_id
from app.features.slices import Slice, before, cut_time, make_slice, span
from app.insight.explore import explore_events, explore_sessions
from app.insight.funnel import funnel, weekly_cohorts
from app.insight.profiles import profile_table, user_profiles
from app.insight.results import Exploration, ProfileRow, Segments
from app.insight.segments import fit_segments
from app.results.run import Cleaning
from app.serve.segments import SegmentModel
from app.train.context import Run


@dataclass(frozen=True)
class Log:
    """The cleaned log: `events` with session ids, where they came from and lie now, and where every row went."""

    events: DataFrame
    source: str
    synthetic: bool
    cleaning: Cleaning
    cleaned: Path
    rejected: Path | None


def clean_log(run: Run) -> Log:
    """Clean the log, or take the latest complete cleaned table where no log is given.

    Raises
    ------
    InputError
        There is neither, or the log can't be read or holds too many rows that are no events.
    """
    spark, settings = run.spark, run.settings
    with run.progress.stage("clean") as stage:
        if settings.events is None:
            latest = _latest_cleaned(run)
            source = str(latest)
            fit_partitions(spark, settings, source)
            report = _as_cleaned_before(read_cleaned(spark, latest), latest)
            stage.rows, stage.note = report.kept, f"taken from {latest.name}"
        else:
            source = settings.events
            fit_partitions(spark, settings, source)
            report = ingest(spark, settings, source, run.output.processed, run.stamp, run.now + timedelta(days=1))
            stage.rows = report.read
            stage.note = f"{report.kept:,} kept, {report.duplicates:,} duplicates, {report.rejected:,} rejected"
            if report.left_out:
                stage.note += f", {sum(report.left_out.values()):,} left out"
            files = ",".join(name for name, _ in list_event_files(spark, source))
            if is_synthetic(f"{source},{files}"):
                label_synthetic(report.cleaned)
        events = read_cleaned(spark, report.cleaned)
    cleaning = Cleaning.model_validate(report, from_attributes=True)
    with_sessions = with_session_id(events, settings.session_idle_minutes)
    synthetic = is_synthetic(str(report.cleaned))
    return Log(with_sessions, source, synthetic, cleaning, report.cleaned, report.rejected_table)


def _latest_cleaned(run: Run) -> Path:
    latest = latest_complete(run.output.processed, CLEANED)
    if latest is None:
        raise InputError(
            f"no --events given, and {run.output.processed} holds no complete {CLEANED}* table; give --events the log"
        )
    return latest


def _as_cleaned_before(events: DataFrame, table: Path) -> CleaningReport:
    """What is still known of a cleaning long past: the rejected rows are not."""
    row = events.agg(F.count("*").alias("kept"), F.sum("copies").alias("read")).first()
    assert row is not None
    return CleaningReport(row["read"], row["kept"], row["read"] - row["kept"], 0, {}, {}, table, None)


def explore(run: Run, events: DataFrame, sessions: DataFrame) -> Exploration:
    """What is in the log, before any model."""
    with run.progress.stage("explore") as stage:
        found = Exploration(
            events=explore_events(events, run.settings.timezone),
            sessions=explore_sessions(sessions),
            funnel=funnel(sessions),
            cohorts=weekly_cohorts(sessions),
        )
        stage.note = (
            f"{found.events.users:,} users, {found.events.products:,} products, {found.sessions.count:,} sessions"
        )
    return found


def whole_slice(run: Run, log: Log, catalogue: DataFrame | None) -> Slice:
    """Features of the whole log; users and products stay among the processed tables."""
    with run.progress.stage("user and product features") as stage:
        processed = run.output.processed
        if catalogue is not None:
            check_collisions([log.events, catalogue], log.source)
        whole = make_slice(
            log.events,
            catalogue,
            span(log.events)[1],
            run.settings,
            run.scratch / "whole",
            processed / f"{USERS}{run.stamp}",
            processed / f"{PRODUCTS}{run.stamp}",
        )
        stage.rows = whole.users.count()
    return whole


def slice_before_test(run: Run, whole: Slice) -> Slice:
    """Features as they were before the test slice."""
    with run.progress.stage("features before the test slice") as stage:
        cut = cut_time(span(whole.events)[0], whole.until, run.settings.test_days)
        known = make_slice(before(whole.events, cut), whole.catalogue, cut, run.settings, run.scratch / "before")
        stage.rows, stage.note = known.users.count(), f"events before {cut:%Y-%m-%d %H:%M:%S}"
    return known


@dataclass(frozen=True)
class Segmentation:
    """The segments as a model and as figures, and the profiles."""

    model: SegmentModel
    segments: Segments
    profiles: tuple[ProfileRow, ...]


def segment(run: Run, whole: Slice, previous: SegmentModel | None) -> Segmentation:
    """Segments, with the ids and names of those before where they fit, and profiles."""
    with run.progress.stage("segments and profiles") as stage:
        settings = run.settings
        model, rows = fit_segments(whole.users, settings.segments, settings.seed, previous)
        profiles = user_profiles(whole.users, whole.sessions, whole.carts, whole.pairs, whole.products)
        found = Segmentation(model, Segments(silhouette=model.silhouette, rows=rows), profile_table(profiles))
        stage.note = ", ".join(f"{row.segment} {row.share:.0%}" for row in rows)
    return found
