"""Sums of a window while events come into it, and the rows that they make in its file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from app.stream.window_files import WINDOW_SCHEMA

Sums = dict[tuple[str, str], tuple[int, int]]  #: (event type, main category) → events, hundredths of revenue
Row = tuple[int, str, str, int, float]


@dataclass
class OpenWindow:
    """A window that events came into since it was counted from the archive.

    `since`: the first micro-batch that brought some, and `recent` the first since it was begun to be counted;
    `base`: what stood for it before, None if that is not known; `changed`: when the last came, as the clock says;
    `shown`: whether all of them are in files and points.
    """

    since: int
    base: Sums | None
    changed: float
    sums: Sums = field(default_factory=dict)
    shown: bool = False
    recent: int | None = None

    def go_on(self, before: "OpenWindow") -> None:
        """Be again what it was, with what has come since: it could not be counted."""
        add(before.sums, self.sums)
        self.base, self.sums = before.base, before.sums
        self.recent = before.recent if before.recent is not None else self.recent

    def total(self) -> Sums:
        total = dict(self.base or {})
        add(total, self.sums)
        return total


def add(sums: Sums, more: Sums) -> None:
    """Add to what is there."""
    for key, (events, cents) in more.items():
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + events, before[1] + cents


def rows(start: int, sums: Sums) -> list[Row]:
    """Of a window, whose start is in microseconds since 1970."""
    return [(start, kind, category, events, cents / 100) for (kind, category), (events, cents) in sums.items()]


def table(rows: Sequence[Row]) -> pa.Table:
    """As `WINDOW_SCHEMA`."""
    columns = zip(*rows, strict=True) if rows else [()] * len(WINDOW_SCHEMA)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, WINDOW_SCHEMA, strict=True)], WINDOW_SCHEMA
    )


def sums_of(counts: pa.Table, starts: Iterable[int]) -> dict[int, Sums]:
    """What a table of `WINDOW_SCHEMA` says of these windows, of which alone it has rows."""
    sums: dict[int, Sums] = {start: {} for start in starts}
    for start, row in zip(pc.cast(counts["start"], pa.int64()).to_pylist(), counts.to_pylist(), strict=True):
        sums[start][row["event_type"], row["main_category"]] = (row["events"], round(row["revenue"] * 100))
    return sums
