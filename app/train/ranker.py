"""The stage that learns the ranker: from the first half of the test slice, so that the second can test it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from app.core.settings import Settings
from app.core.spark import cores_here
from app.evaluate.choice import choose
from app.evaluate.examples import ranker_examples
from app.evaluate.gate import MIN_QUERIES
from app.evaluate.names import RECIPROCAL_RANK
from app.evaluate.quality import Scores
from app.evaluate.queries import TASKS, Bounds, StoredQueries, write_queries
from app.evaluate.results import FeatureGain, RankerChoice
from app.features.slices import Slice
from app.learn.ranker import fit_lambdamart
from app.learn.recommender import reciprocal_rank
from app.serve.rankers import LambdaMART
from app.serve.recommender import Recommender
from app.train.context import Run

MIN_EXAMPLES = 1_000  #: queries with a positive in the pool; from fewer no ranker is learned


@dataclass(frozen=True)
class HeldOut:
    """What comes after the cut: `whole` from `cut` on; segments of the users seen before, by user and by name."""

    whole: Slice
    cut: datetime
    segments: Path
    names: Sequence[str]

    @property
    def middle(self) -> datetime:
        """Queries before it are learned from, those from it on are tested."""
        return (self.cut + (self.whole.until - self.cut) / 2).replace(microsecond=0)

    def queries(self, settings: Settings, end: datetime | None, folder: Path) -> StoredQueries:
        """Those of the slice, up to a moment if one is given."""
        bounds = Bounds(settings.evaluation_queries, settings.session_max_events, settings.session_max_products)
        return write_queries(self.whole, self.cut, end, self.segments, self.names, bounds, folder)


@dataclass(frozen=True)
class Lesson:
    """What came of learning: the ranker and its folder, or the reason why there is none.

    `queries`: that it was learned from, all of which were asked, and ended, before `until`. `compared`: whether
    anything may take the place of reciprocal rank.
    """

    reason: str = ""
    ranker: LambdaMART | None = None
    folder: Path | None = None
    queries: int = 0
    until: datetime | None = None
    compared: bool = True

    def choice(self, scores: Scores) -> RankerChoice:
        """What orders the lists, by how all did."""
        if not self.compared:
            return RankerChoice(name=RECIPROCAL_RANK, reason=self.reason)
        if self.ranker is None:
            found = choose(scores)
            reason = f"{self.reason}. {found.reason}" if found.leads else self.reason
            return found.model_copy(update={"reason": reason})
        learned = {"learned_until": self.until, "queries": self.queries, "gains": feature_gains(self.ranker)}
        return choose(scores).model_copy(update=learned)


def learn_ranker(run: Run, test: HeldOut, queries: StoredQueries, recommender: Recommender, candidate: Path) -> Lesson:
    """LambdaMART, from the queries of the first half of the test slice; none where either half has too few.

    Parameters
    ----------
    run
        Its settings and folders.
    test
        The test slice.
    queries
        All of its queries.
    recommender, candidate
        Knew nothing of them; and its folder.
    """
    if run.settings.ranker == RECIPROCAL_RANK:
        return Lesson("No other ranker was to be learned", compared=False)
    before = sum(queries.count(task, until=seconds(test.middle)) for task in TASKS)
    after = min(queries.count(task, since=seconds(test.middle)) for task in TASKS)
    if before < MIN_EXAMPLES or after < MIN_QUERIES:
        return Lesson(f"Too few queries to learn a ranker from ({before:,}), or to test it on ({after:,} of a task)")
    earlier = test.queries(run.settings, test.middle, run.scratch / "earlier")
    examples = ranker_examples(earlier, candidate, reciprocal_rank(run.settings))
    asked = len(np.unique(examples["query"].to_numpy()))
    if asked < MIN_EXAMPLES:
        return Lesson(f"Too few queries to learn a ranker from: of {before:,} the pool has an answer to {asked:,}")
    ranker = fit_lambdamart(
        examples,
        reciprocal_rank(run.settings),
        tuple(recommender.generators),
        recommender.catalogue,
        run.settings.seed,
        cores_here(run.spark),
    )
    folder = run.scratch / "ranker"
    folder.mkdir()
    ranker.save(folder)
    return Lesson(f"from {asked:,} queries", ranker, folder, asked, test.middle)


def feature_gains(ranker: LambdaMART) -> tuple[FeatureGain, ...]:
    """Each feature's share of all gain, the largest first."""
    gains = ranker.booster.feature_importance("gain")
    shares = gains / max(gains.sum(), 1e-12)
    named = sorted(zip(ranker.booster.feature_name(), shares.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    return tuple(FeatureGain(feature=name, share=share) for name, share in named)


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970 of a moment in UTC."""
    return int(moment.replace(tzinfo=UTC).timestamp())
