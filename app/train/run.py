"""The batch run, stage after stage: from a log to a published bundle, lists and a report."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from app.core.errors import BundleError, InputError
from app.core.folders import (
    CLEANED,
    PRODUCTS,
    USERS,
    Output,
    is_synthetic,
    label_synthetic,
    latest_complete,
    prune_tables,
)
from app.core.progress import Progress
from app.core.settings import Settings
from app.evaluate.gate import Verdict, judge
from app.evaluate.metrics import METRICS
from app.evaluate.quality import CHAMPION, Scores, measure, quality_rows, rating_rmse
from app.evaluate.queries import SESSION, TASKS, cut_time, session_queries, user_queries
from app.events.ingest import CleaningReport, fit_partitions, ingest, read_cleaned
from app.events.read import list_event_files
from app.events.sessions import session_table, with_session_id
from app.features.pairs import cart_outcomes, pairs_before, user_product_pairs
from app.features.products import product_attributes, product_features
from app.features.session_products import session_products
from app.features.users import user_active_days, user_features
from app.insight.explore import explore_events, explore_sessions
from app.insight.funnel import funnel, weekly_cohorts
from app.insight.profiles import profile_table, user_profiles
from app.insight.recommendations import recommendation_charts
from app.insight.segments import SegmentModel, assign_segments, fit_segments
from app.learn.recommender import fit_recommender
from app.monitor.influx import influx_config, write_lines
from app.monitor.training_points import training_lines
from app.registry import bundle
from app.report.page import write_report
from app.serve.lists import lists_for_users, write_csv

TRAIN_STAGES, EXPLORE_STAGES, SEGMENTS_STAGES = 10, 3, 5
INFLUX_SECONDS = 120.0  #: how long a training waits for InfluxDB before it says so and fails
#: Settings that a bundle's manifest records: those that made the model what it is.
MODEL_SETTINGS = {
    "segments",
    "seed",
    "cart_window_hours",
    "popularity_half_life_days",
    "top_k",
    "candidates",
    "als_engine",
    "als_max_pairs",
    "als_factors",
    "als_iterations",
    "als_regularization",
    "als_alpha",
    "als_nonnegative",
    "covisitation_neighbours",
    "session_max_products",
    "history_products",
    "bought_days",
    "blend_weights",
    "test_days",
    "evaluation_queries",
    "bootstrap",
}
STAMP_FORMAT = "%Y%m%d_%H%M%S"


@dataclass
class Run:
    """One run: where it writes, what it found so far (`found` is what report and summary show)."""

    spark: SparkSession
    settings: Settings
    progress: Progress
    now: datetime
    output: Output
    found: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls, spark: SparkSession, settings: Settings, now: datetime, stages: int, say: Callable[[str], Any]
    ) -> "Run":
        output = Output(settings.output.absolute())
        output.prepare()
        run = cls(spark, settings, Progress(stages, say), now, output)
        run.found = {
            "version": run.stamp,
            "created": now.isoformat(timespec="seconds"),
            "timezone": settings.timezone,
            "synthetic": False,
        }
        return run

    @property
    def stamp(self) -> str:
        return self.now.strftime(STAMP_FORMAT)

    @property
    def scratch(self) -> Path:
        return self.output.root / f".work-{self.stamp}"

    def finish(self) -> dict[str, Any]:
        """Write report and `run.json`; returns what the summary shows."""
        paths = {"report": str(self.output.report), "run": str(self.output.run)}
        with self.progress.stage("report") as stage:
            self.found["paths"] = paths | self.found.get("paths", {})
            self.found["stages"] = [asdict(done) for done in self.progress.stages[:-1]]
            write_report(self.found, self.output.report)
            temporary = self.output.run.with_name(".run.json.part")
            temporary.write_text(json.dumps(self.found, indent=1, default=str))
            temporary.replace(self.output.run)
            stage.note = str(self.output.report)
        return self.found


@dataclass(frozen=True)
class Features:
    """The tables everything after cleaning is built from; `*_before` stop at the cut."""

    as_of: datetime
    cut: datetime
    events: DataFrame
    pairs: DataFrame
    sessions: DataFrame
    session_items: DataFrame
    carts: DataFrame
    users: DataFrame
    products: DataFrame
    users_before: DataFrame
    products_before: DataFrame


def clean_log(run: Run) -> DataFrame:
    """Clean the log, or take the latest complete cleaned table where no log is given."""
    spark, settings = run.spark, run.settings
    with run.progress.stage("clean") as stage:
        if settings.events is None:
            latest = latest_complete(run.output.processed, CLEANED)
            if latest is None:
                raise InputError(
                    f"no --events given, and {run.output.processed} holds no complete {CLEANED}* table; "
                    "give --events the log"
                )
            fit_partitions(spark, settings, str(latest))
            events = read_cleaned(spark, latest)
            stage.rows, stage.note = events.count(), f"taken from {latest.name}"
            read = events.agg(F.sum("copies")).first()
            assert read is not None
            report = CleaningReport(read[0], stage.rows, read[0] - stage.rows, 0, {}, {}, latest, None)
            source = str(latest)
        else:
            source = settings.events
            fit_partitions(spark, settings, source)
            report = ingest(spark, settings, source, run.output.processed, run.stamp, run.now + timedelta(days=1))
            events = read_cleaned(spark, report.cleaned)
            stage.rows = report.read
            stage.note = f"{report.kept:,} kept, {report.duplicates:,} duplicates, {report.rejected:,} rejected"
            if report.left_out:
                stage.note += f", {sum(report.left_out.values()):,} left out"
            files = ",".join(name for name, _ in list_event_files(spark, source))
            if is_synthetic(f"{source},{files}"):
                label_synthetic(report.cleaned)
    run.found |= {"events_source": source, "synthetic": is_synthetic(str(report.cleaned))}
    run.found["exploration"] = {
        "rows": {name: getattr(report, name) for name in ("read", "kept", "duplicates", "rejected")},
        "rejected": report.reasons,
        "left_out": report.left_out,
    }
    run.found["paths"] = {"cleaned": str(report.cleaned)}
    if report.rejected_table:
        run.found["paths"]["rejected"] = str(report.rejected_table)
    return with_session_id(events, settings.session_idle_minutes)


def explore(run: Run, events: DataFrame, sessions: DataFrame) -> None:
    """Tables of the exploration, into `run.found`."""
    with run.progress.stage("explore") as stage:
        found = run.found["exploration"]
        found |= explore_events(events, run.settings.timezone)
        found |= explore_sessions(sessions) | funnel(sessions)
        found["cohorts"] = weekly_cohorts(sessions)
        found["totals"]["sessions"] = found["sessions"]["count"]
        totals = found["totals"]
        stage.note = f"{totals['users']:,} users, {totals['products']:,} products, {totals['sessions']:,} sessions"


def build_features(run: Run, events: DataFrame, sessions: DataFrame) -> Features:
    """Pairs once; users and products from them; all stored."""
    settings, spark = run.settings, run.spark
    span = events.agg(F.min("event_time"), F.max("event_time")).first()
    assert span is not None
    as_of, cut = span[1], cut_time(span[0], span[1], settings.test_days)
    with run.progress.stage("user-product pairs") as stage:
        half_life = settings.popularity_half_life_days
        pairs = _stored(spark, user_product_pairs(events, as_of, half_life, cut), run.scratch / "pairs")
        stage.rows = run.found["pairs"] = pairs.count()
    with run.progress.stage("user and product features") as stage:
        before = events.where(F.col("event_time") < F.lit(cut))
        attributes = product_attributes(events).persist()
        carts = cart_outcomes(events, as_of, settings.cart_window_hours).persist()
        items = session_products(events, settings.session_max_products)
        session_items = _stored(spark, items, run.scratch / "session_items")
        users = user_features(pairs, attributes, sessions, user_active_days(events), carts, as_of)
        users_before = user_features(
            pairs_before(pairs),
            attributes,
            sessions.where(F.col("end") < F.lit(cut)),
            user_active_days(before),
            cart_outcomes(before, cut, settings.cart_window_hours),
            cut,
        )
        products, products_before = (
            product_features(pairs, attributes),
            product_features(pairs_before(pairs), attributes),
        )
        stamp, processed = run.stamp, run.output.processed
        ordered = users.repartition("user_id").sortWithinPartitions("user_id")  # K-Means sees the same order each run
        features = Features(
            as_of,
            cut,
            events,
            pairs,
            sessions,
            session_items,
            carts,
            _stored(spark, ordered, processed / f"{USERS}{stamp}"),
            _stored(spark, products, processed / f"{PRODUCTS}{stamp}"),
            _stored(spark, users_before, run.scratch / "users_before"),
            _stored(spark, products_before, run.scratch / "products_before"),
        )
        stage.rows = features.users.count()
    return features


def _stored(spark: SparkSession, frame: DataFrame, path: Path) -> DataFrame:
    frame.write.parquet(str(path))
    return spark.read.parquet(str(path))


def segment(run: Run, features: Features, previous: SegmentModel | None) -> SegmentModel:
    """Segments and profiles, into `run.found`."""
    with run.progress.stage("segments and profiles") as stage:
        settings = run.settings
        model = fit_segments(features.users, settings.segments, settings.seed, previous)
        profiles = user_profiles(features.users, features.sessions, features.carts, features.pairs, features.products)
        run.found["segments"] = {"silhouette": model.silhouette, "segments": model.table}
        run.found["profiles"] = profile_table(profiles)
        stage.note = ", ".join(f"{row['segment']} {row['share']:.0%}" for row in model.table)
    return model


def evaluate(
    run: Run, features: Features, model: SegmentModel, champion: Path | None
) -> tuple[list[dict[str, Any]], Verdict]:
    """Train before the cut, test after it, and let the gate judge."""
    settings, spark, cut = run.settings, run.spark, features.cut
    segments = assign_segments(features.users_before, model)
    folder = run.scratch / "candidate"
    with run.progress.stage("train before the cut") as stage:
        recommender = fit_recommender(
            spark,
            settings,
            pairs_before(features.pairs),
            features.session_items.where(F.col("end") < F.lit(cut)),
            segments,
            features.products_before,
            run.scratch / "fit",
        )
        folder.mkdir()
        recommender.save(folder)
        stage.note = f"events before {cut:%Y-%m-%d %H:%M:%S}"
    with run.progress.stage("evaluate") as stage:
        test = features.events.where(F.col("event_time") >= F.lit(cut))
        known = segments.select("user_id", "segment")
        limit = settings.evaluation_queries
        queries = session_queries(test, known, limit).unionByName(user_queries(test, known, limit))
        scores = measure(queries, folder, champion, _unseen_from(champion, cut), settings.bootstrap)
        rows = quality_rows(scores, len(recommender.catalogue))
        rmse = rating_rmse(features.pairs, cut, folder)
        stage.rows = sum(row["queries"] for row in rows if row["model"] == "blend" and row["slice"] == "all")
        stage.note = _quality_note(rows)
    verdict = _judge(run, scores, rows, champion)
    run.found["quality"] = {
        "test_from": str(cut),
        "test_to": str(features.as_of),
        "tasks": TASKS,
        "rows": rows,
        "rmse": rmse,
    }
    return rows, verdict


def _unseen_from(champion: Path | None, cut: datetime) -> int:
    """From when on queries are new to the champion as well, in seconds."""
    if champion is None:
        return 0
    end = datetime.fromisoformat(bundle.read_manifest(champion)["data_window"]["end"])
    return int(max(cut, end).replace(tzinfo=UTC).timestamp()) + 1


def _quality_note(rows: list[dict[str, Any]]) -> str:
    by_model = {row["model"]: row["ndcg_10"]["mean"] for row in rows if (row["task"], row["slice"]) == (SESSION, "all")}
    if "blend" not in by_model:
        return "no test queries"
    return f"NDCG@10 in sessions: blend {by_model['blend']:.4f}, most popular {by_model['most_popular']:.4f}"


def _judge(run: Run, scores: Scores, rows: list[dict[str, Any]], champion: Path | None) -> Verdict:
    before = bundle.read_manifest(champion)["quality"] if champion else []
    verdict = judge(scores, rows, champion.name if champion else None, before)
    if not verdict.publish and run.settings.force_publish:
        verdict = replace(verdict, publish=True, reason=f"forced, though {verdict.reason}")
    run.found["gate"] = {"published": verdict.publish, "reason": verdict.reason, "champion": verdict.champion}
    return verdict


def make_bundle(
    run: Run, features: Features, model: SegmentModel, rows: list[dict[str, Any]], verdict: Verdict
) -> Path:
    """Train on everything, write the bundle, publish it if the gate lets it."""
    settings, models = run.settings, run.output.models
    with run.progress.stage("train on everything and publish") as stage:
        segments = assign_segments(features.users, model)
        recommender = fit_recommender(
            run.spark,
            settings,
            features.pairs,
            features.session_items,
            segments,
            features.products,
            run.scratch / "fit",
        )
        window = run.found["exploration"]["totals"]

        def fill(folder: Path) -> dict[str, Any]:
            recommender.save(folder)
            (folder / bundle.SEGMENTS).write_text(json.dumps(model.to_dict(), indent=1))
            return {
                "training_date": run.now.isoformat(timespec="seconds"),
                "total_users": window["users"],
                "total_products": window["products"],
                "total_interactions": run.found["exploration"]["rows"]["kept"],
                "segments_count": len(model.names),
                "data_window": {"start": window["first"], "end": window["last"]},
                "synthetic": run.found["synthetic"],
                "parameters": settings.model_dump(mode="json", include=MODEL_SETTINGS),
                "metrics": _headline(rows),
                "quality": rows,
                "silhouette": model.silhouette,
                "gate": run.found["gate"],
            }

        folder = bundle.write(models, run.stamp, fill)
        if verdict.publish:
            bundle.publish(models, folder.name)
        gone = bundle.prune(models, settings.keep_bundles)
        run.found["version"] = folder.name
        stage.note = f"{'published' if verdict.publish else 'NOT published'}: {verdict.reason}"
        run.found["pruned"] = gone
        for name in gone:
            shutil.rmtree(run.output.recommendations / name, ignore_errors=True)
        prune_tables(run.output.processed, settings.keep_bundles)
        run.found["paths"] |= {"bundle": str(folder)}
    return folder


def _headline(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over all queries of each task, by model."""
    return {
        f"{row['task']}/{row['model']}": {metric: row[metric]["mean"] for metric in METRICS}
        for row in rows
        if row["slice"] == "all" and row["model"] != CHAMPION
    }


def tell_influx(run: Run) -> None:
    """Points of the training, where an InfluxDB is set."""
    influx = influx_config(run.settings)
    if influx is not None:
        seconds = sum(stage.seconds for stage in run.progress.stages)
        write_lines(influx, training_lines(run.found, seconds, run.now), deadline=INFLUX_SECONDS)


def recommend_active(run: Run, features: Features, folder: Path) -> None:
    """Lists for users seen lately, by the bundle in use, as Parquet and CSV."""
    with run.progress.stage("lists for active users") as stage:
        settings = run.settings
        since = features.as_of - timedelta(days=settings.active_days)
        active = features.users.where(F.col("last_seen") >= F.lit(since)).select("user_id")
        at_utc = features.as_of.replace(tzinfo=UTC)
        lists = lists_for_users(active, folder, settings.top_k, at_utc, run.now)
        target = run.output.recommendations / folder.name
        shutil.rmtree(target, ignore_errors=True)  # a champion that stayed has lists of an earlier day
        stored = _stored(run.spark, lists, target)
        stage.rows = write_csv(target, run.output.merged_csv)
        run.found["recommendations"] = recommendation_charts(stored)
        run.found["paths"] |= {"recommendations": str(target), "merged_csv": str(run.output.merged_csv)}


def train(spark: SparkSession, settings: Settings, now: datetime, say: Callable[[str], Any]) -> dict[str, Any]:
    """Everything: clean, explore, features, segments, recommenders, evaluation, bundle, lists, report.

    Parameters
    ----------
    spark, settings
        Session and settings.
    now
        The moment of the run, UTC.
    say
        Gets progress lines.

    Returns
    -------
    dict
        All that was found, as `run.json` holds it.
    """
    run = Run.start(spark, settings, now, TRAIN_STAGES, say)
    try:
        champion = _usable_champion(run)
        previous = bundle.Bundle.open(champion, check=False).segments if champion else None
        events = clean_log(run)
        sessions = _stored(spark, session_table(events), run.scratch / "sessions")
        explore(run, events, sessions)
        features = build_features(run, events, sessions)
        model = segment(run, features, previous)
        rows, verdict = evaluate(run, features, model, champion)
        folder = make_bundle(run, features, model, rows, verdict)
        recommend_active(run, features, folder if verdict.publish else bundle.champion(run.output.models) or folder)
        found = run.finish()
        tell_influx(run)
        return found
    finally:
        shutil.rmtree(run.scratch, ignore_errors=True)


def _usable_champion(run: Run) -> Path | None:
    """The champion's folder; a damaged one is said and not compared with."""
    folder = bundle.champion(run.output.models)
    if folder is None:
        return None
    try:
        bundle.verify(folder)
    except BundleError as error:
        run.progress.say(f"the champion cannot be compared with: {error}")
        return None
    return folder


def explore_only(spark: SparkSession, settings: Settings, now: datetime, say: Callable[[str], Any]) -> dict[str, Any]:
    """Clean and explore."""
    run = Run.start(spark, settings, now, EXPLORE_STAGES, say)
    events = clean_log(run)
    explore(run, events, session_table(events).persist())
    return run.finish()


def segments_only(spark: SparkSession, settings: Settings, now: datetime, say: Callable[[str], Any]) -> dict[str, Any]:
    """Clean, features, segments and profiles."""
    run = Run.start(spark, settings, now, SEGMENTS_STAGES, say)
    try:
        events = clean_log(run)
        features = build_features(run, events, _stored(spark, session_table(events), run.scratch / "sessions"))
        model = segment(run, features, None)
        target = run.output.processed / f"segments_{run.stamp}"
        assign_segments(features.users, model).write.parquet(str(target))
        run.found["paths"]["segments"] = str(target)
        return run.finish()
    finally:
        shutil.rmtree(run.scratch, ignore_errors=True)
