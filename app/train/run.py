"""The batch runs, stage after stage: from a log to a published bundle, lists and a report."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from app.core.folders import CLEANED, CUSTOMERS, FIGURES, PERFORMANCE, PRODUCTS, REJECTED, SEGMENTS, USERS
from app.core.parts import row_count
from app.core.settings import Settings
from app.events.catalogue import read_catalogue
from app.events.ingest import fit_partitions
from app.insight.figures import Figures
from app.learn.ranker import check_library
from app.monitor.influx import influx_config, write_lines
from app.monitor.training_points import training_lines
from app.registry.registry import Registry
from app.report.blocks import Section
from app.report.page import shop_sections, write_report
from app.results.files import write_run
from app.results.run import Paths, RunResult, StageRun
from app.train.context import Run
from app.train.evaluation import evaluate, in_use
from app.train.publication import make_bundle, recommend_active
from app.train.resume import asked_for, killed_run
from app.train.stages import (
    Log,
    behaviour,
    check_span,
    clean_log,
    customer_base,
    explore,
    keep_figures,
    segment,
    slice_before_test,
    whole_slice,
)

TRAIN_STAGES, EXPLORE_STAGES, SEGMENTS_STAGES, CUSTOMERS_STAGES = 13, 4, 4, 3
INFLUX_SECONDS = 120.0  #: how long a training waits for InfluxDB before it says so and fails
Say = Callable[[str], Any]


def train(
    spark: SparkSession, settings: Settings, now: datetime, say: Say, check: Callable[[], object] = lambda: None
) -> RunResult:
    """Everything: clean, explore, features, customers, segments, recommenders, evaluation, bundle, lists, report.

    Parameters
    ----------
    spark, settings
        Session and settings.
    now
        The moment of the run, UTC.
    say
        Gets progress lines.
    check
        Called before each stage, and just before the bundle is published; what it raises ends the training.
    """
    if settings.ranker == "auto":
        check_library()
    asked = asked_for(spark, settings)
    if settings.resume:
        now = killed_run(settings, asked, say) or now
    run = Run.start(spark, settings, now, TRAIN_STAGES, say, check)
    try:
        run.finished.begin(asked)
        before = in_use(run)
        catalogue = read_catalogue(spark, settings)  # first: a wrong one is told at once
        once, scratch = run.finished.once, run.scratch
        log = once("clean", lambda: clean_log(run), *run.tables(CLEANED, REJECTED))
        check_span(log)
        if settings.resume:
            fit_partitions(spark, settings, log.source)  # of the session: a run that goes on may not have cleaned
        whole = once(
            "features",
            lambda: whole_slice(run, log, catalogue),
            *(scratch / "whole", scratch / "catalogue", *run.tables(USERS, PRODUCTS)),
        )
        exploration = once("explore", lambda: explore(run, log, whole.folder / "sessions"), scratch / "explore")
        base = once("customers", lambda: customer_base(run, log), scratch / "customers", *run.tables(CUSTOMERS))
        found = once(
            "segments",
            lambda: segment(run, whole, before.champion, base),
            *(scratch / name for name in ("segments", "movement", "profiles", "segment_value")),
            *run.tables(SEGMENTS),
        )
        done = once(
            "behaviour",
            lambda: behaviour(run, log, exploration, whole, found),
            *(scratch / "behaviour", *run.tables(PERFORMANCE)),
        )
        told = Figures(found.customers, done.figures, found.segments, found.profiles)
        figures = once("figures", lambda: keep_figures(run, log, told), *run.tables(FIGURES))
        known = once("before", lambda: slice_before_test(run, log, whole), scratch / "before")
        tested = once("evaluate", lambda: evaluate(run, known, whole, found.model, before), scratch / "rmse")
        made = once("bundle", lambda: make_bundle(run, log, exploration, whole, found, tested))
        serving = made.folder if tested.verdict.published else Registry(run.output.models).champion() or made.folder
        with ThreadPoolExecutor(1) as drawing:  # this process has little else to do meanwhile
            shop = drawing.submit(shop_sections, log.cleaning, exploration, settings.timezone, told)
            lists = once("lists", lambda: recommend_active(run, whole, serving, done.table), scratch / "lists")
        merged = run.output.merged_csv
        result = _result(
            run,
            log,
            _paths(
                run,
                log,
                segments=found.table,
                customers=base.table,
                performance=done.table,
                figures=figures,
                bundle=made.folder,
                recommendations=lists.table,
                merged_csv=merged,
            ),
            version=made.folder.name,
            exploration=exploration,
            behaviour=done.figures,
            pairs=row_count(whole.folder / "pairs"),
            segments=found.segments,
            profiles=found.profiles,
            customers=found.customers,
            quality=tested.quality,
            ranker=tested.choice,
            gate=tested.verdict,
            recommendations=lists.figures,
            pruned=made.pruned,
        )
        _finish(run, result, shop.result())
        _tell_influx(run, result)
        return result
    finally:
        run.finished.drop()


def explore_only(spark: SparkSession, settings: Settings, now: datetime, say: Say) -> RunResult:
    """Clean, explore, and all that is known of behaviour."""
    run = Run.start(spark, settings, now, EXPLORE_STAGES, say)
    try:
        log = clean_log(run)
        exploration = explore(run, log)
        done = behaviour(run, log, exploration)
        figures = keep_figures(run, log, Figures(behaviour=done.figures))
    finally:
        run.finished.drop()
    paths = _paths(run, log, performance=done.table, figures=figures)
    result = _result(run, log, paths, exploration=exploration, behaviour=done.figures)
    _finish(run, result)
    return result


def segments_only(spark: SparkSession, settings: Settings, now: datetime, say: Say) -> RunResult:
    """Clean, features, segments and profiles; names and movement against the bundle in use, where there is one."""
    run = Run.start(spark, settings, now, SEGMENTS_STAGES, say)
    try:
        champion = in_use(run).champion
        catalogue = read_catalogue(spark, settings)
        log = clean_log(run)
        whole = whole_slice(run, log, catalogue)
        found = segment(run, whole, champion)
        figures = keep_figures(run, log, Figures(segments=found.segments, profiles=found.profiles))
        result = _result(
            run,
            log,
            _paths(run, log, segments=found.table, figures=figures),
            pairs=row_count(whole.folder / "pairs"),
            segments=found.segments,
            profiles=found.profiles,
        )
        _finish(run, result)
        return result
    finally:
        run.finished.drop()


def customers_only(spark: SparkSession, settings: Settings, now: datetime, say: Say) -> RunResult:
    """Clean, and all that is known of customers."""
    run = Run.start(spark, settings, now, CUSTOMERS_STAGES, say)
    try:
        log = clean_log(run)
        base = customer_base(run, log)
        figures = keep_figures(run, log, Figures(customers=base.figures))
    finally:
        run.finished.drop()
    paths = _paths(run, log, customers=base.table, figures=figures)
    result = _result(run, log, paths, customers=base.figures)
    _finish(run, result)
    return result


def _paths(run: Run, log: Log, **made: Path) -> Paths:
    """What every run leaves, and what this one made beside it."""
    return Paths(report=run.output.report, run=run.output.run, cleaned=log.cleaned, rejected=log.rejected, **made)


def _result(run: Run, log: Log, paths: Paths, **parts: Any) -> RunResult:
    """What every run tells, and the parts of this one; its version is its start where it makes no bundle."""
    return RunResult(
        **{"version": run.stamp} | parts,
        created=run.now,
        timezone=run.settings.timezone,
        synthetic=log.synthetic,
        events_source=log.source,
        cleaning=log.cleaning,
        stages=_stages(run),
        paths=paths,
    )


def _stages(run: Run) -> tuple[StageRun, ...]:
    """The stages so far: those that the report shows."""
    return tuple(StageRun.model_validate(done, from_attributes=True) for done in run.progress.stages)


def _finish(run: Run, result: RunResult, shop: Sequence[Section] | None = None) -> None:
    """Write report and `run.json`; `shop`: the sections that are drawn already."""
    run.finished.check()
    with run.progress.stage("report") as stage:
        write_report(result, run.output.report, shop)
        write_run(run.output, result, run.settings.keep_runs)
        stage.note = str(run.output.report)


def _tell_influx(run: Run, result: RunResult) -> None:
    """Points of the training, where an InfluxDB is set."""
    influx = influx_config(run.settings)
    if influx is not None:
        write_lines(influx, training_lines(result), deadline=INFLUX_SECONDS)
