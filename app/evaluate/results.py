"""What an evaluation finds, typed to the leaf; `RunResult` and a bundle's manifest hold these parts."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from app.core.part import Measured, Part
from app.evaluate.names import ALL, RANKER_LABELS, RECIPROCAL_RANK


class MetricInterval(Part):
    """A metric with the central 95 % of its bootstrap replicates."""

    mean: float = Field(description="mean over the queries, 0 to 1")
    low: float = Field(description="lower end of its interval")
    high: float = Field(description="upper end of its interval")


class QualityRow(Part):
    """One model on one slice of the queries of a task."""

    task: str = Field(description="session or user")
    model: str = Field(
        description='"blend" is what serves, "most_popular" the baseline, else a ranker or a generator alone'
    )
    slice: str = Field(
        description="all, warm, cold, segment:<name>, or target:<name>: asked for what was viewed, put into the cart "
        "(cart), bought (purchase), or touched by nobody before (new)"
    )
    queries: int = Field(description="queries in the slice")
    metrics: dict[str, MetricInterval] = Field(description="by metric: hr, ndcg, mrr, recall at 10 and at 20")
    coverage_10: Measured = Field(description="share of the catalogue in some top 10; of the slice all only")
    novelty_10: Measured = Field(
        default=None,
        description="mean of -log2 of a product's share of all popularity, in the top 10, over the lists that are not "
        "empty; of the slice all only",
    )
    diversity_10: Measured = Field(
        default=None,
        description="share of the pairs in the top 10 that are of different categories, over the lists with two "
        "products or more; of the slice all only",
    )


class Quality(Part):
    """Quality of all models on the end of the data."""

    test_from: datetime = Field(description="the cut: models under test know what came before, UTC")
    test_to: datetime = Field(description="time of the last event, UTC")
    tasks: dict[str, str] = Field(description="by task, what is asked in words")
    rows: tuple[QualityRow, ...] = Field(description="by task, model and slice")
    rmse: Measured = Field(description="root mean squared error of ALS scores against ratings; nothing is chosen by it")


class FeatureGain(Part):
    """What a learned ranker makes of one feature."""

    feature: str = Field(description="its name; rank_ and score_ are of a generator")
    share: float = Field(description="share of all gain of the trees' splits, 0 to 1")


class RankerChoice(Part):
    """What orders the lists, and why."""

    name: str = Field(description="reciprocal_rank or lambdamart")
    reason: str = Field(description="why: the figures, or what there were too few of")
    tasks: tuple[str, ...] = Field(
        default=(),
        description="tasks in which lambdamart orders the lists: session is visits that touched something "
        "in their session, user all others; `leads` and reciprocal_rank order the rest",
    )
    leads: dict[str, str] = Field(
        default={},
        description="by task, the generator whose places come first in the lists, what reciprocal_rank makes of the "
        "others behind them: where it alone is better than all together",
    )
    learned_until: datetime | None = Field(
        default=None,
        description="lambdamart was learned from what came before, UTC, and all of quality is of later queries; null "
        "if none was learned",
    )
    queries: int = Field(default=0, description="queries that it was learned from")
    gains: tuple[FeatureGain, ...] = Field(default=(), description="by feature of lambdamart, the largest first")

    @property
    def sentence(self) -> str:
        """What orders the lists, and why."""
        where = (
            "" if len(self.tasks) != 1 else f" in the {self.tasks[0]} task, else by {RANKER_LABELS[RECIPROCAL_RANK]}"
        )
        led = "".join(f", in the {task} task by {name} first" for task, name in self.leads.items())
        return f"Lists are ordered by {RANKER_LABELS[self.name]}{where}{led}. {self.reason}."

    def model(self, task: str) -> str:
        """The name of the model that orders the lists of a task."""
        return self.name if task in self.tasks else self.leads.get(task, RECIPROCAL_RANK)


class Verdict(Part):
    """Whether the new bundle is published, and why."""

    published: bool = Field(description="whether it became the champion")
    reason: str = Field(description="why, in a sentence")
    champion: str | None = Field(default=None, description="version in use when it was judged; null if there was none")


def find_row(rows: Iterable[QualityRow], model: str, part: str = ALL) -> QualityRow | None:
    """The row of a model on a slice, of rows of one task."""
    return next((row for row in rows if (row.model, row.slice) == (model, part)), None)
