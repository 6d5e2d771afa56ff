"""Reading the files that public benchmarks of recommenders come in, told apart by what is in them.

Sessions: a table with the header `SessionId ItemId Time` (tab-separated; times in seconds); or a session a line,
its items separated by spaces; or, of tests, a line `items of the prefix<TAB>target`, with or without a header.
Interactions: a line `user item item …` for each user. Ids are any text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.core.errors import InputError
from app.serve.ragged import NONE, Ragged, first_of_each

COLUMNS = ("SessionId", "ItemId", "Time")


@dataclass(frozen=True)
class Lists:
    """n lists of items, by their shape, with `items` (m,) as text; sessions are ordered by their last click.

    `times` (m,): seconds of each click; None where the file has none. `targets` (n,): the item that comes after the
    list, where the file says so.
    """

    shape: Ragged
    items: NDArray[np.str_]
    times: NDArray[np.float64] | None = None
    targets: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.shape)

    def slice(self, start: int, stop: int) -> "Lists":
        """Lists start … stop - 1."""
        shape, entries = self.shape.slice(start, stop)
        times = None if self.times is None else self.times[entries]
        return Lists(shape, self.items[entries], times, None if self.targets is None else self.targets[start:stop])


@dataclass(frozen=True)
class Vocabulary:
    """The items of a training, sorted; their numbers are positions in every array."""

    items: NDArray[np.str_]

    def numbers(self, items: NDArray[np.str_]) -> NDArray[np.int64]:
        """Number of each item; `NONE` of one that the training lacks."""
        place = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[place] == items, place, NONE)


def read_sessions(path: Path) -> Lists:
    """Sessions of any of the formats above.

    Raises
    ------
    InputError
        The file is of none of them.
    """
    with path.open(encoding="utf-8") as lines:
        first = lines.readline().rstrip("\n").split("\t")
    if set(COLUMNS) <= set(first):
        return _of_events(path)
    if len(first) == 1:
        return _of_lines(path.read_text(encoding="utf-8").splitlines())
    if len(first) == 2:
        return _of_pairs(path)
    raise InputError(
        f"{path}: neither a table with columns {', '.join(COLUMNS)}, nor a session a line, nor pairs of "
        f"prefix and target; its first line has {len(first)} columns"
    )


def read_interactions(path: Path) -> tuple[NDArray[np.str_], Lists]:
    """Users (n,), as text, and the items of each; users without items are left out."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) > 1]
    if not rows:
        raise InputError(f"{path}: no line of a user and items, separated by spaces")
    return np.array([row[0] for row in rows]), _of_rows(row[1:] for row in rows)


def _of_events(path: Path) -> Lists:
    table = pd.read_csv(path, sep="\t", dtype={"SessionId": str, "ItemId": str, "Time": float})
    table["end"] = table.groupby("SessionId")["Time"].transform("max")
    table = table.sort_values(["end", "SessionId", "Time"], kind="stable")
    starts = first_of_each(table["SessionId"].to_numpy(str))
    shape = Ragged(np.append(starts, len(table)).astype(np.int64))
    return Lists(shape, table["ItemId"].to_numpy(str), table["Time"].to_numpy())


def _of_lines(lines: Iterable[str]) -> Lists:
    return _of_rows(row for row in map(str.split, lines) if row)


def _of_pairs(path: Path) -> Lists:
    pairs = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    if pairs[0] == ["prefix", "target"]:
        del pairs[0]
    prefixes = _of_rows(prefix.split() for prefix, _ in pairs)
    return Lists(prefixes.shape, prefixes.items, targets=np.array([target.strip() for _, target in pairs]))


def _of_rows(rows: Iterable[list[str]]) -> Lists:
    held = list(rows)
    shape = Ragged.of_lengths(np.array([len(row) for row in held], np.int64))
    return Lists(shape, np.array([item for row in held for item in row], str))
