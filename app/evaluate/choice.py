"""Which ranker orders the lists: the learned one only where it is better."""

from dataclasses import dataclass

from app.evaluate.gate import METRIC, MIN_QUERIES
from app.evaluate.names import ALL, LAMBDAMART, METRIC_LABELS, RECIPROCAL_RANK, SESSION, USER
from app.evaluate.quality import Scores
from app.evaluate.results import RankerChoice
from app.evaluate.targets import target_slice
from app.events.vocabulary import PURCHASE


def choose(scores: Scores) -> RankerChoice:
    """In which tasks LambdaMART orders the lists: where it is better, and not worse at purchases.

    Better and worse by NDCG@10 under the paired bootstrap: the whole 95 % interval of the difference lies on one side
    of zero. A slice of fewer than `MIN_QUERIES` queries is not judged.

    Parameters
    ----------
    scores
        From `app.evaluate.quality.measure`, with both rankers, on queries that neither has learned from.
    """
    tasks, told = [], []
    for task in (SESSION, USER):
        all_queries, purchases = (_difference(scores, task, part) for part in (ALL, target_slice(PURCHASE)))
        if all_queries is None:
            continue
        told.append(f"{task} {all_queries.text}")
        if purchases is not None and purchases.high < 0:
            told.append(f"{task} purchases {purchases.text}")
        elif all_queries.low > 0:
            tasks.append(task)
    figures = f"{METRIC_LABELS[METRIC]} of LambdaMART beside reciprocal rank: {'; '.join(told)}"
    if not told:
        return RankerChoice(name=RECIPROCAL_RANK, reason="Too few queries to compare LambdaMART with reciprocal rank")
    return RankerChoice(name=LAMBDAMART if tasks else RECIPROCAL_RANK, tasks=tuple(tasks), reason=figures)


@dataclass(frozen=True)
class _Difference:
    """By how much LambdaMART is better on a slice: the ends of the interval, and all in words."""

    low: float
    high: float
    text: str


def _difference(scores: Scores, task: str, part: str) -> _Difference | None:
    """None where there are too few queries."""
    mine, theirs = (scores.get((task, model, part)) for model in (LAMBDAMART, RECIPROCAL_RANK))
    if mine is None or theirs is None or mine.queries < MIN_QUERIES:
        return None
    gain = mine.difference(theirs, METRIC)
    text = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {mine.queries:,} queries"
    return _Difference(gain.low, gain.high, text)
