"""The last stages of a training: the bundle written and published, and lists for active users."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path

from app.core import duck
from app.core.folders import made_before, note_maker, prune_tables
from app.core.parts import read_table, row_count
from app.evaluate.names import ALL, METRICS
from app.evaluate.results import QualityRow
from app.events.forgotten import ForgottenUsers, moment_of
from app.events.layout import layout_of
from app.events.merged_users import MergedUsers
from app.features.slices import Slice
from app.insight.recommendations import recommendation_figures, with_category_ids
from app.insight.results import Exploration, RecommendationFigures
from app.learn.recommender import fit_recommender
from app.registry.identities import Identities
from app.registry.registry import Registry
from app.serve.lists import write_csv
from app.serve.segments import SegmentModel
from app.train.context import Run
from app.train.evaluation import Evaluation
from app.train.lists import ListMaker, lists_for_users
from app.train.manifest import DataWindow, ManifestEntries
from app.train.stages import Log, Segmentation


@dataclass(frozen=True)
class Publication:
    """The bundle's folder, whether or not it was published, and the old bundles deleted in its favour."""

    folder: Path
    pruned: tuple[str, ...]


def make_bundle(
    run: Run,
    log: Log,
    exploration: Exploration,
    whole: Slice,
    found: Segmentation,
    evaluation: Evaluation,
) -> Publication:
    """Train on everything, write the bundle, publish it if the gate and the lease let it, and delete old ones."""
    settings, registry, verdict = run.settings, Registry(run.output.models), evaluation.verdict
    with run.progress.stage("train on everything and publish") as stage:
        folder = registry.folder / run.stamp
        if not (settings.resume and folder.is_dir()):  # else this run was killed after it had written its bundle
            folder = _fit(run, whole, found, evaluation, _manifest(run, log, exploration, found.model, evaluation))
        if verdict.published:
            registry.publish(folder.name, run.finished.check)
        pruned = registry.prune(settings.keep_bundles, settings.challenger)
        for name in pruned:
            shutil.rmtree(run.output.recommendations / name, ignore_errors=True)
        prune_tables(run.output.processed, settings.keep_bundles)
        pruned += registry.forget(frozenset(log.forgotten))
        _forget_tables(run, log)
        stage.note = f"{'published' if verdict.published else 'NOT published'}: {verdict.reason}"
    return Publication(folder, tuple(pruned))


def _fit(run: Run, whole: Slice, found: Segmentation, evaluation: Evaluation, entries: ManifestEntries) -> Path:
    """The bundle of everything the log holds; returns its folder."""
    recommender = fit_recommender(whole, found.users, run.settings, run.scratch / "fit")
    if evaluation.ranker is not None:
        recommender = replace(recommender, ranker=evaluation.ranker.over(recommender.catalogue))

    def fill(folder: Path) -> None:
        recommender.save(folder)
        found.model.save(folder)

    return Registry(run.output.models).add(run.stamp, entries, fill)


def _forget_tables(run: Run, log: Log) -> None:
    """Delete tables of runs that began before the latest forgetting: they may know whom this one does not."""
    latest = max(map(moment_of, log.forgotten), default=0)
    for path in [*run.output.tables()]:
        if made_before(path, latest) and run.stamp not in path.name:
            shutil.rmtree(path, ignore_errors=True)


def _manifest(
    run: Run, log: Log, exploration: Exploration, model: SegmentModel, evaluation: Evaluation
) -> ManifestEntries:
    events = exploration.events
    return ManifestEntries(
        training_date=run.now,
        total_users=events.users,
        total_products=events.products,
        total_events=log.cleaning.kept,
        segments_count=len(model.names),
        data_window=DataWindow(start=events.first, end=events.last),
        synthetic=log.synthetic,
        parameters=run.settings.recorded() | {"layout": layout_of(run.settings).model_dump(mode="json")},
        metrics=_headline(evaluation.quality.rows),
        quality=evaluation.quality.rows,
        silhouette=model.silhouette,
        gate=evaluation.verdict,
        forgotten=log.forgotten,
        merged_until=log.merged_until,
    )


def _headline(rows: tuple[QualityRow, ...]) -> dict[str, dict[str, float]]:
    """Means over all queries, by task and model."""
    return {
        f"{row.task}/{row.model}": {metric: row.metrics[metric].mean for metric in METRICS}
        for row in rows
        if row.slice == ALL
    }


@dataclass(frozen=True)
class ActiveLists:
    """Lists for active users: where the table lies, and its figures."""

    table: Path
    figures: RecommendationFigures


def recommend_active(run: Run, whole: Slice, folder: Path, performance: Path) -> ActiveLists:
    """Lists for users seen lately, by the bundle in `folder`, as Parquet and CSV.

    `performance`: stored table of `app.insight.performance.PERFORMANCE_SCHEMA`, for categories without a name.
    """
    with run.progress.stage("lists for active users") as stage:
        settings = run.settings
        since = whole.until - timedelta(days=settings.active_days)
        who = Identities(ForgottenUsers(run.output.root).read(), MergedUsers(run.output.root).read())
        maker = ListMaker(folder, settings.top_k, whole.until.replace(tzinfo=UTC), run.now, who)
        made = lists_for_users(whole, since, maker, run.scratch / "lists")
        target = run.output.recommendations / folder.name
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)  # a champion that stayed has lists of an earlier day
        made.table.rename(target)
        note_maker(target, run.stamp)
        with duck.connect(run.scratch) as connection:
            lists = read_table(connection, target)
            figures = recommendation_figures(lists)
            if figures.unknown_categories == figures.recommendations:
                figures = recommendation_figures(with_category_ids(lists, read_table(connection, performance)))
        write_csv(made.csv, run.output.merged_csv)
        stage.rows = row_count(target)
    return ActiveLists(target, figures)
