"""The gate: a new bundle is published only if it is not worse than the champion.

Two ways to compare, in this order:

1. Both recommenders answer the queries that neither has seen, and the difference is taken query by
   query under a paired bootstrap. Refused if the whole 95 % interval lies below zero, overall or in a
   segment.
2. Where there are too few such queries (the champion was trained on the same days), their recorded
   test results are compared, refused if the intervals do not touch.
"""

from dataclasses import dataclass
from typing import Any

from app.evaluate.metrics import interval
from app.evaluate.quality import ALL, BLEND, CHAMPION, Scores
from app.evaluate.queries import SESSION, USER

METRIC = "ndcg_10"
MIN_QUERIES = 200  #: fewer say nothing about a slice


@dataclass(frozen=True)
class Verdict:
    """Whether to publish, and why, in a sentence."""

    publish: bool
    reason: str
    champion: str | None = None


def judge(
    scores: Scores, rows: list[dict[str, Any]], champion: str | None, champion_rows: list[dict[str, Any]]
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
    """
    if champion is None:
        return Verdict(True, "there was no champion")
    compared = _unseen(scores)
    if compared:
        losses, how = [f"{name}: {text}" for name, worse, text in compared if worse], "on the same unseen queries"
    else:
        compared = _recorded(rows, champion_rows)
        losses, how = [f"{name}: {text}" for name, worse, text in compared if worse], "by their recorded tests"
    if not compared:
        return Verdict(True, f"too few queries to compare with champion {champion}", champion)
    if losses:
        return Verdict(False, f"worse than champion {champion} {how}: {'; '.join(losses)}", champion)
    return Verdict(True, f"not worse than champion {champion} {how}: {compared[0][2]}", champion)


def _unseen(scores: Scores) -> list[tuple[str, bool, str]]:
    """Slice, whether the candidate is worse there, and the figures; empty if there is nothing to compare."""
    result = []
    for (task, model, name), mine in sorted(scores.items()):
        theirs = scores.get((task, CHAMPION, name))
        if model != BLEND or task not in (SESSION, USER) or theirs is None or mine.queries < MIN_QUERIES:
            continue
        difference = mine.means(METRIC) - theirs.means(METRIC)
        low, high = interval(difference[1:])
        text = f"NDCG@10 {difference[0]:+.4f} [{low:+.4f}, {high:+.4f}], {mine.queries} queries"
        result.append((f"{task} {name.removeprefix('unseen').lstrip(':') or ALL}", high < 0, text))
    return result


def _recorded(rows: list[dict[str, Any]], champion_rows: list[dict[str, Any]]) -> list[tuple[str, bool, str]]:
    before = {(row["task"], row["slice"]): row for row in champion_rows if row["model"] == BLEND}
    result = []
    for row in rows:
        old = before.get((row["task"], row["slice"]))
        if row["model"] != BLEND or old is None or min(row["queries"], old["queries"]) < MIN_QUERIES:
            continue
        mine, theirs = row[METRIC], old[METRIC]
        text = f"NDCG@10 {mine['mean']:.4f} after {theirs['mean']:.4f}"
        result.append((f"{row['task']} {row['slice']}", mine["high"] < theirs["low"], text))
    return sorted(result, key=lambda entry: not entry[0].endswith(f" {ALL}"))
