"""How far apart the figures of two runs are, section by section of `run.json`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.evaluate.names import BLEND, LAMBDAMART, NDCG_10

OF_THE_RUN = {"version", "created", "stages", "paths", "pruned", "events_source"}  #: differ in any case
#: Trees of the learned ranker hang by the last bits of their examples, whose order is another with each number of
#: parts, and by them the order of the lists.
LEARNED = {"quality", "ranker", "recommendations"}
ROUNDING = 1e-12  #: of means and forecasts, whose sums of floating-point numbers have another order
#: How far apart NDCG@10 may be, in slices of single segments too: of models that are sums, and of lists that the
#: learned ranker orders.
SUMS_APART, TREES_APART = 0.0005, 0.05

Leaf = float | str | bool | None


@dataclass(frozen=True)
class Section:
    """A section of `run.json`: its figures, how many of them differ, and by how much of themselves at most.

    `largest` is infinite where a word differs, or a figure is in one run alone.
    """

    name: str
    figures: int
    differing: int
    largest: float


def leaves(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Every figure and word with its path."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from leaves(value, (*path, key))
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from leaves(value, (*path, str(place)))
    else:
        yield path, part


def apart(one: Leaf, other: Leaf) -> float:
    """Difference as a share of the larger of two figures; 0 for equal ones, infinite for words that differ."""
    if one == other:
        return 0.0
    if isinstance(one, bool | str | None) or isinstance(other, bool | str | None):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other))


def sections(one: dict[str, Any], other: dict[str, Any]) -> list[Section]:
    """All sections of two runs beside each other, but those that say when and where they ran."""
    found = []
    for name in [name for name in one | other if name not in OF_THE_RUN]:
        mine, theirs = dict(leaves(one.get(name, {}))), dict(leaves(other.get(name, {})))
        distances = [
            apart(mine[path], theirs[path]) if path in mine and path in theirs else math.inf
            for path in mine.keys() | theirs.keys()
        ]
        found.append(Section(name, len(distances), sum(d > 0 for d in distances), max(distances, default=0.0)))
    return found


def of_models(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """By model, how far NDCG@10 of two runs is apart at most, over tasks and slices."""
    found: dict[str, float] = {}
    for mine, theirs in zip(*((run["quality"] or {"rows": []})["rows"] for run in (one, other)), strict=True):
        distance = abs(mine["metrics"][NDCG_10]["mean"] - theirs["metrics"][NDCG_10]["mean"])
        found[mine["model"]] = round(max(found.get(mine["model"], 0.0), distance), 4)
    return found


def too_far(models: dict[str, float]) -> list[str]:
    """Models whose NDCG@10 is further apart than another order of their sums explains."""
    most = {BLEND: TREES_APART, LAMBDAMART: TREES_APART}
    return [model for model, distance in models.items() if distance > most.get(model, SUMS_APART)]
