"""Which ranker orders the lists: the learned one only where it is better."""

from app.evaluate.gate import METRIC, MIN_QUERIES
from app.evaluate.metrics import interval
from app.evaluate.names import ALL, LAMBDAMART, METRIC_LABELS, RECIPROCAL_RANK, SESSION, USER
from app.evaluate.quality import Scores
from app.evaluate.results import RankerChoice
from app.evaluate.targets import target_slice
from app.events.vocabulary import PURCHASE

#: What a learned ranker is judged on, in words: by task and slice.
JUDGED = {
    (SESSION, ALL): "session",
    (USER, ALL): "user",
    (SESSION, target_slice(PURCHASE)): "session purchases",
    (USER, target_slice(PURCHASE)): "user purchases",
}


def choose(scores: Scores) -> RankerChoice:
    """LambdaMART, if it is better in a task, and in neither task worse, nor at purchases; else reciprocal rank.

    Better and worse by NDCG@10 under the paired bootstrap: the whole 95 % interval of the difference lies on one side
    of zero. A slice of fewer than `MIN_QUERIES` queries is not judged.

    Parameters
    ----------
    scores
        From `app.evaluate.quality.measure`, with both rankers, on queries that neither has learned from.
    """
    better, worse, told = False, [], []
    for (task, part), words in JUDGED.items():
        mine, theirs = (scores.get((task, model, part)) for model in (LAMBDAMART, RECIPROCAL_RANK))
        if mine is None or theirs is None or mine.queries < MIN_QUERIES:
            continue
        difference = mine.means(METRIC) - theirs.means(METRIC)
        low, high = interval(difference[1:])
        better |= part == ALL and low > 0
        worse += [words] if high < 0 else []
        told.append(f"{words} {difference[0]:+.4f} [{low:+.4f}, {high:+.4f}], {mine.queries:,} queries")
    figures = f"{METRIC_LABELS[METRIC]} of LambdaMART beside reciprocal rank: {'; '.join(told)}"
    if not told:
        return RankerChoice(name=RECIPROCAL_RANK, reason="too few queries to compare LambdaMART with reciprocal rank")
    if worse:
        return RankerChoice(name=RECIPROCAL_RANK, reason=f"LambdaMART is worse ({', '.join(worse)}). {figures}")
    if not better:
        return RankerChoice(name=RECIPROCAL_RANK, reason=f"LambdaMART is not better. {figures}")
    return RankerChoice(name=LAMBDAMART, reason=f"it is better than reciprocal rank. {figures}")
