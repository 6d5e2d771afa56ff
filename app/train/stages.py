"""The stages before any recommender: the log cleaned and explored, features, segments and profiles."""

import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from app.core.errors import InputError
from app.core.folders import (
    CLEANED,
    CUSTOMERS,
    FIGURES,
    PERFORMANCE,
    PRODUCTS,
    SEGMENTS,
    USERS,
    is_synthetic,
    label_synthetic,
    latest_complete,
    made_before,
)
from app.core.parts import part_files, row_count
from app.events.forgotten import Forgotten, ForgottenUsers
from app.events.ingest import CleaningReport, check_collisions, fit_partitions, ingest, kept_rows, read_cleaned
from app.events.merged import Merged
from app.events.merged_users import MergedUsers
from app.events.read import list_event_files
from app.features.slices import Slice, cut_time, make_slice, span
from app.insight.behaviour import BehaviourBase, Shop, Windows, find_behaviour
from app.insight.customer_results import Customers
from app.insight.customers import CustomerBase, find_customers
from app.insight.exploration import explored
from app.insight.figures import Figures, write_figures
from app.insight.movement import moved
from app.insight.profiles import find_profiles
from app.insight.results import Exploration, ProfileRow, Segments
from app.insight.segment_value import with_segments
from app.insight.segments import fit_segments
from app.results.run import Cleaning
from app.serve.segments import SegmentModel
from app.train.context import Run
from app.train.evaluation import Champion


@dataclass(frozen=True)
class Log:
    """The cleaned log: where it came from and lies now, where every row went, and which lists of users it obeys.

    `forgotten`: names of forgettings. `merged_until`: moment of the latest merge, microseconds since 1970.
    """

    source: str
    synthetic: bool
    cleaning: Cleaning
    cleaned: Path
    rejected: Path | None
    forgotten: tuple[str, ...]
    merged_until: int


def clean_log(run: Run) -> Log:
    """Clean the log, or take the latest complete cleaned table where no log is given.

    Raises
    ------
    InputError
        There is neither, or the log can't be read or holds too many rows that are no events.
    """
    spark, settings = run.spark, run.settings
    forgotten, merged = ForgottenUsers(run.output.root).read(), MergedUsers(run.output.root).read()
    with run.progress.stage("clean") as stage:
        if settings.events is None:
            latest = _latest_cleaned(run, forgotten, merged)
            source = str(latest)
            fit_partitions(spark, settings, source)
            report = _as_cleaned_before(latest)
            stage.rows, stage.note = report.kept, f"taken from {latest.name}"
        else:
            source = settings.events
            fit_partitions(spark, settings, source)
            end = run.now + timedelta(days=1)
            report = ingest(spark, settings, source, run.output.processed, run.stamp, end, forgotten, merged)
            stage.rows = report.read
            stage.note = f"{report.kept:,} kept, {report.duplicates:,} duplicates, {report.rejected:,} rejected"
            if report.left_out:
                stage.note += f", {sum(report.left_out.values()):,} left out"
            files = ",".join(name for name, _ in list_event_files(spark, source))
            if is_synthetic(f"{source},{files}"):
                label_synthetic(report.cleaned)
    cleaning = Cleaning.model_validate(report, from_attributes=True)
    return Log(
        source,
        is_synthetic(str(report.cleaned)),
        cleaning,
        report.cleaned,
        report.rejected_table,
        forgotten.names,
        merged.latest,
    )


def check_span(log: Log) -> None:
    """Refuse a log of which nothing lies before a test slice.

    Raises
    ------
    InputError
        All events lie in one second.
    """
    first, last = span(log.cleaned)
    if cut_time(first, last, days=1) <= first:
        raise InputError(
            f"{log.source}: all events lie in one second ({first:%Y-%m-%d %H:%M:%S}), so none are left to test on; "
            "vitrine explore, segments and customers take it"
        )


def _latest_cleaned(run: Run, forgotten: Forgotten, merged: Merged) -> Path:
    latest = latest_complete(run.output.processed, CLEANED)
    if latest is None:
        raise InputError(
            f"no --events given, and {run.output.processed} holds no complete {CLEANED}* table; give --events the log"
        )
    for what, moment in (("forgotten", forgotten.latest), ("merged", merged.latest)):
        if made_before(latest, moment):
            raise InputError(f"{latest}: users were {what} since; give --events the log, to clean it again")
    return latest


def _as_cleaned_before(table: Path) -> CleaningReport:
    """What is still known of a cleaning long past: the rejected rows are not."""
    if "session_id" not in pq.read_schema(part_files(table)[0]).names:
        raise InputError(f"{table}: was cleaned by an earlier version; give --events the log, to clean it again")
    kept, rows = kept_rows(table)
    return CleaningReport(rows, kept, rows - kept, 0, {}, {}, table, None)


def explore(run: Run, log: Log, sessions: Path | None = None) -> Exploration:
    """What is in the log, before any model; `sessions` is its `session_table`, where one is stored already."""
    with run.progress.stage("explore") as stage:
        found = explored(run.spark, log.cleaned, run.settings.timezone, run.scratch / "explore", sessions)
        stage.note = (
            f"{found.events.users:,} users, {found.events.products:,} products, {found.sessions.count:,} sessions"
        )
    return found


def _keep(run: Run, table: Path, prefix: str) -> Path:
    """Copy a table of the run's scratch to the processed tables; returns where it lies."""
    (kept,) = run.tables(prefix)
    shutil.copytree(table, kept)
    return kept


def whole_slice(run: Run, log: Log, catalogue: DataFrame | None) -> Slice:
    """Features of the whole log; users and products stay among the processed tables."""
    with run.progress.stage("user and product features") as stage:
        named = None
        if catalogue is not None:
            check_collisions([read_cleaned(run.spark, log.cleaned), catalogue], log.source)
            named = run.scratch / "catalogue"
            catalogue.write.parquet(str(named))
        whole = make_slice(run.spark, log.cleaned, named, None, run.settings, run.scratch / "whole")
        for table, prefix in (("users", USERS), ("products", PRODUCTS)):
            _keep(run, whole.folder / table, prefix)
        stage.rows = row_count(whole.folder / "users")
        if named is not None:
            stage.note = f"with a catalogue of {row_count(named):,} products"
    return whole


def slice_before_test(run: Run, log: Log, whole: Slice) -> Slice:
    """Features as they were before the test slice."""
    with run.progress.stage("features before the test slice") as stage:
        cut = cut_time(span(log.cleaned)[0], whole.until, run.settings.test_days)
        known = make_slice(run.spark, log.cleaned, whole.catalogue, cut, run.settings, run.scratch / "before")
        stage.rows, stage.note = row_count(known.folder / "users"), f"events before {cut:%Y-%m-%d %H:%M:%S}"
    return known


def customer_base(run: Run, log: Log) -> CustomerBase:
    """RFM, cohorts, lifecycle and value; the table of customers stays among the processed tables."""
    with run.progress.stage("customers") as stage:
        found = find_customers(run.spark, log.cleaned, run.scratch / "customers")
        kept = _keep(run, found.table, CUSTOMERS)
        stage.rows = row_count(kept)
        value = found.figures.value
        if value is None:
            stage.note = "nobody bought"
        elif value.bg_nbd.not_identified:
            stage.note = "value is not identified"
    return replace(found, table=kept)


@dataclass(frozen=True)
class Segmentation:
    """The segments as a model, by user (a table in the parts of the slice), and as figures; the profiles.

    `table`: users with segment and profile, among the processed tables. `customers`: figures of customers, with those
    by segment.
    """

    model: SegmentModel
    users: Path
    table: Path
    segments: Segments
    profiles: tuple[ProfileRow, ...]
    customers: Customers | None


def segment(run: Run, whole: Slice, champion: Champion | None, base: CustomerBase | None = None) -> Segmentation:
    """Segments, with the ids and names of those before where they fit; how users moved between them; and profiles.

    Parameters
    ----------
    run
        Of the training, or of segments alone.
    whole
        Features of the whole log.
    champion
        The bundle in use, if any.
    base
        Customers, where they are known: their figures are returned with what is expected by segment.
    """
    with run.progress.stage("segments and profiles") as stage:
        settings, previous = run.settings, champion.segments if champion else None
        users, folder = whole.folder / "users", run.scratch / "segments"
        fitted = fit_segments(run.spark, users, settings.segment_count, settings.seed, folder, previous)
        movement = None
        if champion is not None:
            known, folder = champion.folder / "users", run.scratch / "movement"
            movement = moved(run.spark, fitted, known, champion.segments, champion.version, folder)
        names = fitted.model.names
        profiles = find_profiles(whole, settings.profiles, fitted.users, names, run.scratch / "profiles")
        kept = _keep(run, profiles.users, SEGMENTS)
        silhouette = fitted.model.silhouette
        figures = Segments(silhouette=silhouette, rows=fitted.rows, tried=fitted.tried, movement=movement)
        customers = None
        if base is not None:
            named = dict(enumerate(names))
            customers = with_segments(run.spark, base, fitted.users, named, run.scratch / "segment_value")
        found = Segmentation(fitted.model, fitted.users, kept, figures, profiles.rows, customers)
        stage.note = "; ".join(f"{row.segment} {row.share:.0%}" for row in fitted.rows)
    return found


def behaviour(
    run: Run, log: Log, found: Exploration, whole: Slice | None = None, segmentation: Segmentation | None = None
) -> BehaviourBase:
    """Funnel, carts, products and paths; the table of products stays among the processed tables.

    Parameters
    ----------
    run, log
        Of the training or exploration.
    found
        What is in the log.
    whole
        Features of the whole log, where they are stored already.
    segmentation
        By which the funnel is cut, where there is one.
    """
    with run.progress.stage("behaviour") as stage:
        shop = Shop(
            events=log.cleaned,
            tables=whole.folder if whole else None,
            event_types=tuple(row.event_type for row in found.events.event_mix if row.events),
            until=found.events.last,
            segments=segmentation.users if segmentation else None,
            segment_names={row.segment_id: row.segment for row in segmentation.segments.rows} if segmentation else {},
        )
        windows = Windows(run.settings.funnel_window_days, run.settings.cart_window_hours)
        base = find_behaviour(run.spark, shop, windows, run.scratch / "behaviour")
        kept = _keep(run, base.table, PERFORMANCE)
        stage.rows = row_count(kept)
        funnel = base.figures.funnel
        if funnel and funnel.total.sessions[0]:
            stage.note = f"{funnel.total.sessions[-1] / funnel.total.sessions[0]:.1%} of sessions go all the way"
    return replace(base, table=kept)


def keep_figures(run: Run, log: Log, found: Figures) -> Path:
    """Figures of customers and behaviour as tables of their own, among the processed ones."""
    (kept,) = run.tables(FIGURES)
    write_figures(found, kept)
    if log.synthetic:
        label_synthetic(kept)
    return kept
