"""Reading the files that public benchmarks of recommenders come in, told apart by what is in them.

Sessions: a table of clicks, separated by tabs, commas or semicolons, whose header names session, item and, where they
are known, times (seconds or milliseconds since 1970, or dates), such as `SessionId ItemId Time`, among others or
alone; or a session a line, its items separated by spaces; or, of tests, a line `items of the prefix<TAB>target`.
Interactions: a line `user item item …` for each user; several lines of a user are taken together. Ids are any text; a
first line of words over lines of numbers is a header.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.core.errors import InputError
from app.serve.ragged import NONE, Ragged, first_of_each

SEPARATORS = ("\t", ",", ";")
#: What columns of clicks are called, without case and what is neither letter nor digit.
SESSIONS, ITEMS, TIMES = {"sessionid", "session"}, {"itemid", "item", "productid"}, {"time", "timestamp", "eventtime"}
PAIR = ("prefix", "target")
ENCODING = "utf-8-sig"
LATEST_SECOND = 1e11  #: in the year 5138: what is later counts milliseconds


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


@dataclass(frozen=True)
class Columns:
    """Where a table of clicks has what; `time` is None where it has no times."""

    separator: str
    session: str
    item: str
    time: str | None


def read_sessions(path: Path) -> Lists:
    """Sessions of any of the formats above.

    Raises
    ------
    InputError
        The file is of none of them.
    """
    head = next(_lines(path))
    columns = next(filter(None, (_columns(head, separator) for separator in SEPARATORS)), None)
    if columns is not None:
        return _of_clicks(path, columns)
    if head == ",".join(PAIR):
        return _of_pairs(path, ",")
    if head.count("\t") == 1:
        return _of_pairs(path, "\t")
    if " " in head or not {*SEPARATORS} & set(head):
        return _of_rows(_without_head([line.split() for line in _lines(path)]))
    raise InputError(
        f"{path}: neither a table whose header names session and item, such as SessionId, ItemId, Time, nor a session "
        f"a line, its items separated by spaces, nor pairs of prefix and target; it begins with {head[:80]!r}"
    )


def read_interactions(path: Path) -> tuple[NDArray[np.str_], Lists]:
    """Users (n,), as text, in the order of their first lines, and the items of each, once; users without are left out.

    Raises
    ------
    InputError
        There is no line of a user and items.
    """
    rows = [row for row in _without_head([line.split() for line in _lines(path)]) if len(row) > 1]
    if not rows:
        raise InputError(f"{path}: no line of a user and items, separated by spaces")
    items: dict[str, dict[str, None]] = {}
    for user, *own in rows:
        items.setdefault(user, {}).update(dict.fromkeys(own))
    return np.array([*items]), _of_rows(items.values())


def _lines(path: Path) -> Iterator[str]:
    """Those that are not blank; one at least."""
    line = None
    try:
        with path.open(encoding=ENCODING) as file:
            for line in filter(str.strip, file):
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {error}") from error
    if line is None:
        raise InputError(f"{path}: is empty")


def _columns(head: str, separator: str) -> Columns | None:
    """Those of a table of clicks, if a first line names them."""
    names = [name.strip('"') for name in head.split(separator)]
    plain = ["".join(filter(str.isalnum, name.lower())) for name in names]

    def called(known: set[str]) -> str | None:
        return next((name for name, word in zip(names, plain, strict=True) if word in known), None)

    session, item = called(SESSIONS), called(ITEMS)
    return None if session is None or item is None else Columns(separator, session, item, called(TIMES))


def _of_clicks(path: Path, columns: Columns) -> Lists:
    names = {"session": columns.session, "item": columns.item} | ({"time": columns.time} if columns.time else {})
    try:
        text = pd.read_csv(path, sep=columns.separator, dtype=str, keep_default_na=False, encoding=ENCODING)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {str(error).strip()}") from error
    table = pd.DataFrame({name: text[column] for name, column in names.items()}).fillna("")
    if table.empty or (table == "").any(axis=None):
        raise InputError(f"{path}: needs {', '.join(names.values())} in each line, and one line at least")
    table["time"] = _seconds(path, table["time"]) if columns.time else np.arange(len(table), dtype=np.float64)
    table["end"] = table.groupby("session")["time"].transform("max")
    table = table.sort_values(["end", "session", "time"], kind="stable")
    starts = first_of_each(table["session"].to_numpy(str))
    shape = Ragged(np.append(starts, len(table)).astype(np.int64))
    return Lists(shape, table["item"].to_numpy(str), table["time"].to_numpy() if columns.time else None)


def _seconds(path: Path, text: pd.Series) -> NDArray[np.float64]:
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers).all():
        return np.divide(numbers, 1000 if numbers.max() > LATEST_SECOND else 1, dtype=np.float64)
    moments = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    if moments.isna().any():
        wrong = text[moments.isna()].iloc[0]
        raise InputError(f"{path}: {wrong!r} is no time: give seconds since 1970, or dates such as 2020-01-31 12:00:00")
    return np.asarray((moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), np.float64)


def _of_pairs(path: Path, separator: str) -> Lists:
    pairs = [line.split(separator) for line in _lines(path)]
    if wrong := next((pair for pair in pairs if not _is_pair(pair)), None):
        raise InputError(f"{path}: {separator.join(wrong)[:80]!r} is no prefix and target, as the first line is")
    if tuple(pairs[0]) == PAIR:
        del pairs[0]
    pairs = _without_head([[*prefix.split(), target.strip()] for prefix, target in pairs])
    prefixes = _of_rows(row[:-1] for row in pairs)
    return Lists(prefixes.shape, prefixes.items, targets=np.array([row[-1] for row in pairs], str))


def _is_pair(parts: Sequence[str]) -> bool:
    return len(parts) == 2 and all(part.strip() for part in parts)


def _without_head(rows: list[list[str]]) -> list[list[str]]:
    """Without a first line of words over lines of numbers alone."""
    others = chain.from_iterable(rows[1:])
    is_head = len(rows) > 1 and not any(map(str.isdecimal, rows[0])) and all(map(str.isdecimal, others))
    return rows[1:] if is_head else rows


def _of_rows(rows: Iterable[Iterable[str]]) -> Lists:
    held = [[*row] for row in rows]
    shape = Ragged.of_lengths(np.array([len(row) for row in held], np.int64))
    return Lists(shape, np.array([item for row in held for item in row], str))
