"""The gate: a new bundle is published only if it is not worse than the champion.

Two ways to compare, in this order:

1. Both recommenders answer the queries that neither has seen, and the difference is taken query by
   query under a paired bootstrap. Refused if the whole 95 % interval lies below zero, overall or in a
   segment.
2. Where there are too few such queries (the champion was trained on the same days), their recorded
   test results are compared, refused if the intervals do not touch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.evaluate.names import ALL, BLEND, CHAMPION, METRIC_LABELS, NDCG_10, SESSION, TARGET, UNSEEN, USER
from app.evaluate.quality import Scores
from app.evaluate.results import QualityRow, Verdict
from app.evaluate.targets import target_slice
from app.events.vocabulary import PURCHASE

METRIC = NDCG_10
MIN_QUERIES = 200  #: with fewer, a slice is not judged


@dataclass(frozen=True)
class Comparison:
    """Candidate and champion on one slice: its name, whether the candidate is worse there, and the figures."""

    name: str
    worse: bool
    text: str


def judge(
    scores: Scores,
    rows: Sequence[QualityRow],
    champion: str | None,
    champion_rows: Sequence[QualityRow],
    refused: str = "",
) -> Verdict:
    """Compare with the champion.

    Parameters
    ----------
    scores
        From `app.evaluate.quality.measure`, with the champion's answers.
    rows
        The candidate's quality table.
    champion
        Version in use, None if there is none.
    champion_rows
        The quality table recorded in its manifest.
    refused
        Why it could not be opened, if it could not: then there is nothing to compare with.
    """
    if champion is None:
        return Verdict(published=True, reason="there was no champion")
    if refused:
        reason = f"champion {champion} could not be compared with: {refused}"
        return Verdict(published=True, reason=reason, champion=champion)
    compared, how = _unseen(scores), "on the same unseen queries"
    if not compared:
        compared, how = _recorded(rows, champion_rows), "by their recorded tests"
    if not compared:
        reason = f"too few queries to compare with champion {champion}"
        return Verdict(published=True, reason=reason, champion=champion)
    losses = [f"{one.name}: {one.text}" for one in compared if one.worse]
    if losses:
        reason = f"worse than champion {champion} {how}: {'; '.join(losses)}"
        return Verdict(published=False, reason=reason, champion=champion)
    reason = f"not worse than champion {champion} {how}: {compared[0].text}"
    return Verdict(published=True, reason=reason, champion=champion)


def _unseen(scores: Scores) -> list[Comparison]:
    """Query by query, on the slices of unseen queries; empty if there is nothing to compare."""
    result = []
    for (task, model, name), mine in sorted(scores.items()):
        theirs = scores.get((task, CHAMPION, name))
        if model != BLEND or task not in (SESSION, USER) or theirs is None or mine.queries < MIN_QUERIES:
            continue
        gain = mine.difference(theirs, METRIC)
        text = f"{METRIC_LABELS[METRIC]} {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {mine.queries} queries"
        part = name.removeprefix(UNSEEN).lstrip(":") or ALL
        result.append(Comparison(f"{task} {part}", gain.high < 0, text))
    return result


def _judged(part: str) -> bool:
    """Whether the gate looks at a slice: of targets at purchases alone, since views are nearly all."""
    return not part.startswith(TARGET) or part == target_slice(PURCHASE)


def _recorded(rows: Sequence[QualityRow], champion_rows: Sequence[QualityRow]) -> list[Comparison]:
    """By the tests that each had when it was trained, all queries first."""
    before = {(row.task, row.slice): row for row in champion_rows if row.model == BLEND and _judged(row.slice)}
    result = []
    for row in sorted(rows, key=lambda row: row.slice != ALL):
        old = before.get((row.task, row.slice))
        if row.model != BLEND or old is None or min(row.queries, old.queries) < MIN_QUERIES:
            continue
        mine, theirs = row.metrics[METRIC], old.metrics[METRIC]
        text = f"{METRIC_LABELS[METRIC]} {mine.mean:.4f} after {theirs.mean:.4f}"
        result.append(Comparison(f"{row.task} {row.slice}", mine.high < theirs.low, text))
    return result
