"""How far apart the figures of two runs are, section by section of `run.json`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

OF_THE_RUN = {"version", "created", "stages", "paths", "pruned", "events_source"}  #: differ in any case
#: What is learned by sums of floating-point numbers, whose order is another with each number of parts: the driver
#: adds one after the other what the parts hand it. All other sections are counts and sums of whole hundredths.
LEARNED = {"segments", "profiles", "quality", "ranker", "gate", "recommendations"}

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
    for name in [name for name in one if name not in OF_THE_RUN]:
        mine, theirs = dict(leaves(one[name])), dict(leaves(other.get(name)))
        distances = [
            apart(mine[path], theirs[path]) if path in mine and path in theirs else math.inf
            for path in mine.keys() | theirs.keys()
        ]
        found.append(Section(name, len(distances), sum(d > 0 for d in distances), max(distances, default=0.0)))
    return found
