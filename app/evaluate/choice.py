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

FIRST, LABEL = RANKER_LABELS[RECIPROCAL_RANK], METRIC_LABELS[METRIC]


def choose(scores: Scores) -> RankerChoice:
    """What orders the lists of each task.

    First the best of the generators that are better alone than all together in reciprocal rank, which orders where
    there is none; then LambdaMART, where it is better than that. Better is: by NDCG@10 under the paired bootstrap the
    whole 95 % interval of the difference lies above zero, and that of purchases not below. A slice of fewer than
    `MIN_QUERIES` queries is not judged.

    Parameters
    ----------
    scores
        From `app.evaluate.quality.measure`, on queries that no ranker has learned from; without a learned one,
        reciprocal rank is what is filed under `blend`.
    """
    leads = {one.task: one for task in (SESSION, USER) for one in _lead(scores, task)}
    others = {task: leads[task].model if task in leads else RECIPROCAL_RANK for task in (SESSION, USER)}
    learned = [one for task, other in others.items() for one in _compared(scores, task, LAMBDAMART, other)]
    tasks = tuple(one.task for one in learned if one.better)
    leads = {task: one for task, one in leads.items() if task not in tasks}
    told = [f"{LABEL} of LambdaMART beside {FIRST}: {'; '.join(one.text for one in learned)}"] if learned else []
    told += [f"{LABEL} of {one.model} alone beside {FIRST}: {one.text}" for one in leads.values()]
    return RankerChoice(
        name=LAMBDAMART if tasks else RECIPROCAL_RANK,
        tasks=tasks,
        leads={task: one.model for task, one in leads.items()},
        reason=". ".join(told) or f"Too few queries to compare LambdaMART with {FIRST}",
    )


@dataclass(frozen=True)
class _Compared:
    """A model beside another in a task: whether it may take its place, by how much it is better, and in words."""

    task: str
    model: str
    better: bool
    gain: float
    text: str


def _lead(scores: Scores, task: str) -> list[_Compared]:
    """The generator that leads in a task, if there is one."""
    generators = sorted({model for of, model, _ in scores if of == task} - set(NO_GENERATORS))
    found = [one for model in generators for one in _compared(scores, task, model, RECIPROCAL_RANK) if one.better]
    return [max(found, key=lambda one: one.gain)] if found else []


def _compared(scores: Scores, task: str, model: str, other: str) -> list[_Compared]:
    """One, or none where there are too few queries."""
    queries, purchases = (_difference(scores, task, model, other, part) for part in (ALL, target_slice(PURCHASE)))
    if queries is None:
        return []
    worse = purchases is not None and purchases.high < 0
    text = f"{task} {queries.text}" if other == RECIPROCAL_RANK else f"{task}, beside {other} alone, {queries.text}"
    if worse and purchases is not None:
        text += f"; {task} purchases {purchases.text}"
    return [_Compared(task, model, queries.low > 0 and not worse, queries.mean, text)]


@dataclass(frozen=True)
class _Difference:
    """By how much a model is better on a slice: mean and ends of the interval, and all in words."""

    mean: float
    low: float
    high: float
    text: str


def _difference(scores: Scores, task: str, model: str, other: str, part: str) -> _Difference | None:
    """None where there are too few queries."""
    mine, theirs = _score(scores, task, model, part), _score(scores, task, other, part)
    if mine is None or theirs is None or mine.queries < MIN_QUERIES:
        return None
    gain = mine.difference(theirs, METRIC)
    text = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {mine.queries:,} queries"
    return _Difference(gain.mean, gain.low, gain.high, text)


def _score(scores: Scores, task: str, model: str, part: str) -> Score | None:
    found = scores.get((task, model, part))
    return scores.get((task, BLEND, part)) if found is None and model == RECIPROCAL_RANK else found
