"""What orders the lists: the learned ranker, or one generator alone, only where it is better than all together."""

from dataclasses import dataclass

from app.evaluate.gate import METRIC, MIN_QUERIES
from app.evaluate.names import (
    ALL,
    BLEND,
    LAMBDAMART,
    METRIC_LABELS,
    NO_GENERATORS,
    RANKER_LABELS,
    RECIPROCAL_RANK,
    SESSION,
    USER,
)
from app.evaluate.quality import Score, Scores
from app.evaluate.results import RankerChoice
from app.evaluate.targets import target_slice
from app.events.vocabulary import PURCHASE

FIRST = RANKER_LABELS[RECIPROCAL_RANK]


def choose(scores: Scores) -> RankerChoice:
    """What orders the lists of each task: LambdaMART or a generator where it is better, and not worse at purchases.

    Better and worse than reciprocal rank by NDCG@10 under the paired bootstrap: the whole 95 % interval of the
    difference lies on one side of zero. Of several the best; where none is better, reciprocal rank. A slice of fewer
    than `MIN_QUERIES` queries is not judged.

    Parameters
    ----------
    scores
        From `app.evaluate.quality.measure`, on queries that no ranker has learned from; without a learned one,
        reciprocal rank is what is filed under `blend`.
    """
    found = [one for task in (SESSION, USER) for one in _compared(scores, task)]
    best: dict[str, _Compared] = {}
    for one in found:
        if one.better and one.gain > (best[one.task].gain if one.task in best else 0.0):
            best[one.task] = one
    tasks = tuple(task for task, one in best.items() if one.model == LAMBDAMART)
    leads = {task: one.model for task, one in best.items() if one.model != LAMBDAMART}
    learned = [one.text for one in found if one.model == LAMBDAMART]
    told = {RANKER_LABELS[LAMBDAMART]: learned} if learned else {}
    told |= {f"{model} alone": [best[task].text] for task, model in leads.items()}
    figures = [f"{METRIC_LABELS[METRIC]} of {name} beside {FIRST}: {'; '.join(texts)}" for name, texts in told.items()]
    return RankerChoice(
        name=LAMBDAMART if tasks else RECIPROCAL_RANK,
        tasks=tasks,
        leads=leads,
        reason=". ".join(figures) or f"Too few queries to compare {RANKER_LABELS[LAMBDAMART]} with {FIRST}",
    )


@dataclass(frozen=True)
class _Compared:
    """A model beside reciprocal rank in a task: whether it may take its place, by how much it is better, in words."""

    task: str
    model: str
    better: bool
    gain: float
    text: str


def _compared(scores: Scores, task: str) -> list[_Compared]:
    """All models of a task, by name; those of too few queries are left out."""
    found = []
    models = sorted({model for of, model, _ in scores if of == task} - (set(NO_GENERATORS) - {LAMBDAMART}))
    for model in models:
        queries, purchases = (_difference(scores, task, model, part) for part in (ALL, target_slice(PURCHASE)))
        if queries is None:
            continue
        worse = purchases is not None and purchases.high < 0
        text = f"{task} {queries.text}"
        if worse and purchases is not None:
            text += f"; {task} purchases {purchases.text}"
        found.append(_Compared(task, model, queries.low > 0 and not worse, queries.mean, text))
    return found


@dataclass(frozen=True)
class _Difference:
    """By how much a model is better on a slice: mean and ends of the interval, and all in words."""

    mean: float
    low: float
    high: float
    text: str


def _difference(scores: Scores, task: str, model: str, part: str) -> _Difference | None:
    """None where there are too few queries."""
    mine, theirs = scores.get((task, model, part)), _first(scores, task, part)
    if mine is None or theirs is None or mine.queries < MIN_QUERIES:
        return None
    gain = mine.difference(theirs, METRIC)
    text = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {mine.queries:,} queries"
    return _Difference(gain.mean, gain.low, gain.high, text)


def _first(scores: Scores, task: str, part: str) -> Score | None:
    return scores.get((task, RECIPROCAL_RANK, part)) or scores.get((task, BLEND, part))
