"""The stages of the test: trained before the test slice, tested on it, judged beside the bundle in use."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.core.errors import BundleError
from app.evaluate.gate import judge
from app.evaluate.names import ALL, BLEND, METRIC_LABELS, MOST_POPULAR, NDCG_10, SESSION, USER
from app.evaluate.quality import Scores, measure, only_in, quality_rows, served
from app.evaluate.queries import TASKS, StoredQueries
from app.evaluate.results import Quality, QualityRow, RankerChoice, Verdict, find_row
from app.evaluate.rmse import rating_rmse
from app.features.slices import Slice
from app.insight.segments import Segmented, fit_segments
from app.learn.recommender import fit_recommender, reciprocal_rank
from app.registry.bundle import Bundle
from app.registry.registry import Registry
from app.serve.rankers import LambdaMART, Ranker, ReciprocalRank
from app.serve.recommender import Recommender
from app.serve.segments import SegmentModel
from app.train.context import Run
from app.train.costs import Costs
from app.train.manifest import ManifestEntries
from app.train.ranker import HeldOut, Lesson, learn_ranker, seconds


@dataclass(frozen=True)
class Champion:
    """The bundle in use, whole, with what a training compares itself with."""

    folder: Path
    segments: SegmentModel
    manifest: ManifestEntries

    @property
    def version(self) -> str:
        return self.folder.name


@dataclass(frozen=True)
class InUse:
    """What a training finds in use: a version, None where nothing was published yet, and the bundle.

    `champion`: None where the bundle is damaged or of another edition; `refused` says why.
    """

    version: str | None = None
    champion: Champion | None = None
    refused: str = ""


def in_use(run: Run) -> InUse:
    """The bundle in use; one that cannot be compared with is reported."""
    folder = Registry(run.output.models).champion()
    if folder is None:
        return InUse()
    try:
        opened = Bundle.open(folder)
        champion = Champion(folder, opened.segments, ManifestEntries.read(folder, opened.manifest))
    except BundleError as error:
        run.progress.say(f"the champion cannot be compared with: {error}")
        return InUse(folder.name, refused=str(error).removeprefix(f"bundle {folder}: "))
    return InUse(folder.name, champion)


@dataclass(frozen=True)
class Evaluation:
    """How good the recommendations are, what orders them, and what the gate says.

    `ranker`: what is better than reciprocal rank as it is set; None where that serves.
    """

    quality: Quality
    choice: RankerChoice
    verdict: Verdict
    ranker: Ranker | None = None


def evaluate(run: Run, known: Slice, whole: Slice, published: SegmentModel, before: InUse) -> Evaluation:
    """Learn from what was known before the test slice, test on it, and let the gate judge.

    Segments are those of the slice; from the `published` ones they take names alone, so that a name means the same
    in all of a report. Where the slice has enough queries, a ranker is learned from its first half, and all is tested
    on its second.
    """
    settings, cut, scratch, champion = run.settings, known.until, run.scratch, before.champion
    folder = scratch / "candidate"
    found = run.finished.once(
        "candidate", lambda: _candidate(run, known, published, folder), scratch / "known", scratch / "fit", folder
    )
    recommender = Recommender.load(folder)
    test = HeldOut(whole, cut, found.users, found.model.names)
    queries, lesson = run.finished.once(
        "ranker",
        lambda: _lesson(run, test, recommender, folder),
        *(scratch / "queries", scratch / "earlier", scratch / "ranker"),
    )
    with run.progress.stage("evaluate") as stage:
        since = seconds(lesson.until or cut)
        scores = measure(
            queries,
            since,
            folder,
            champion.folder if champion else None,
            _unseen_from(champion, cut),
            settings.bootstrap,
            lesson.folder,
        )
        choice = lesson.choice(scores)
        if lesson.ranker or choice.leads:
            scores = served(scores, {task: choice.model(task) for task in TASKS})
        rows = quality_rows(scores, len(recommender.catalogue))
        rmse = rating_rmse(run.spark, whole.folder / "pairs", cut, folder, scratch / "rmse")
        stage.rows = sum(row.queries for row in rows if (row.model, row.slice) == (BLEND, ALL))
        stage.note = _note(rows)
    quality = Quality(test_from=cut, test_to=whole.until, tasks=TASKS, rows=rows, rmse=rmse)
    verdict = decide(scores, rows, before, force=settings.force_publish)
    return Evaluation(quality, choice, verdict, chosen(choice, reciprocal_rank(settings), lesson.ranker))


def chosen(choice: RankerChoice, first: ReciprocalRank, learned: LambdaMART | None) -> Ranker | None:
    """The ranker that was chosen; None where it is reciprocal rank as it is set."""
    led = first.led(choice.leads.get(SESSION, ""), choice.leads.get(USER, ""))
    if learned is not None and choice.tasks:
        return only_in(choice.tasks, replace(learned, first=led))
    return led if choice.leads else None


def _candidate(run: Run, known: Slice, published: SegmentModel, folder: Path) -> Segmented:
    """Segments and a recommender of what was known, the latter in its folder."""
    settings = run.settings
    with run.progress.stage("train before the test slice") as stage:
        costs = Costs(run.progress.clock)
        found = fit_segments(
            run.spark, known.folder / "users", len(published.names), settings.seed, run.scratch / "known", published
        )
        recommender = fit_recommender(known, found.users, settings, run.scratch / "fit", costs.of)
        folder.mkdir()
        recommender.save(folder)
        stage.note = costs.note(folder / "generators")
    return found


def _lesson(run: Run, test: HeldOut, recommender: Recommender, folder: Path) -> tuple[StoredQueries, Lesson]:
    """All queries of the test slice, and what was learned from the first half of them."""
    with run.progress.stage("learn the ranker") as stage:
        queries = test.queries(run.settings, None, run.scratch / "queries")
        lesson = learn_ranker(run, test, queries, recommender, folder)
        stage.rows, stage.note = lesson.queries, lesson.reason
    return queries, lesson


def _unseen_from(champion: Champion | None, cut: datetime) -> int:
    """From when on queries are new to the champion as well, in seconds."""
    if champion is None:
        return 0
    return seconds(max(cut, champion.manifest.data_window.end)) + 1


def _note(rows: tuple[QualityRow, ...]) -> str:
    session = [row for row in rows if row.task == SESSION]
    blend, popular = find_row(session, BLEND), find_row(session, MOST_POPULAR)
    if blend is None or popular is None:
        return "no test queries"
    return (
        f"{METRIC_LABELS[NDCG_10]} in sessions: blend {blend.metrics[NDCG_10].mean:.4f}, "
        f"most popular {popular.metrics[NDCG_10].mean:.4f}"
    )


def decide(scores: Scores, rows: tuple[QualityRow, ...], before: InUse, *, force: bool) -> Verdict:
    """The gate's verdict, or publication against it where that is forced."""
    recorded = before.champion.manifest.quality if before.champion else ()
    verdict = judge(scores, rows, before.version, recorded, before.refused)
    if verdict.published or not force:
        return verdict
    return Verdict(published=True, reason=f"forced, though {verdict.reason}", champion=verdict.champion)
