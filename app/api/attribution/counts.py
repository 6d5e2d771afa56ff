"""Counts of what lists led to, in a small database: each step of the counting is one transaction.

How far the lists and the log of posted events were read stands in the same transaction as what was counted of them. So
a step that is killed is done again, and one that is done is not.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.core.errors import VitrineError

FILE = "counts-1.sqlite"
KEEP_DAYS = 30  #: days whose counts stay for a summary
BUSY_SECONDS = 10.0
Kind = Literal["clicked", "carted", "bought"]  #: what may come of a place of a list
Outcome = Literal["attributed", "not_in_list", "unknown_list"]
#: By each table, what its rows are told by, and what is summed up in them.
KEYS = {
    "places": ("began", "experiment", "variant", "model_version", "source", "reason"),
    "lists": ("began", "experiment", "variant", "model_version"),
    "events": ("began", "event_type", "outcome"),
}
SUMS = {
    "places": ("shown", "clicked", "carted", "bought", "revenue"),
    "lists": ("answered", "clicked", "carted", "bought", "revenue"),
    "events": ("events",),
}
Key = tuple[str | int, ...]
Row = dict[str, str | int | float]


@dataclass
class Step:
    """What one step adds.

    Attributes
    ----------
    sums
        By table and key, what is added to each column.
    touched
        Places of lists that something came of for the first time: list, place (0 for the list as a whole), kind, and
        when the list was answered.
    """

    sums: defaultdict[tuple[str, Key], defaultdict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    touched: dict[tuple[str, int, Kind], float] = field(default_factory=dict)

    def add(self, table: str, key: Key, column: str, amount: float = 1) -> None:
        self.sums[table, key][column] += amount


class Counts:
    """The database of one output folder.

    Parameters
    ----------
    folder
        Made if missing.

    Raises
    ------
    VitrineError
        The file is damaged, or can't be written to.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        with self._faults():
            self._database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False)
            self._database.execute("PRAGMA secure_delete = on")
            with self._database:
                self._make()

    def _make(self) -> None:
        for table, keys in KEYS.items():
            sums = ", ".join(f"{name} REAL NOT NULL DEFAULT 0" for name in SUMS[table])
            columns = f"{', '.join(keys)}, {sums}, written INTEGER NOT NULL DEFAULT 0"
            self._database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({', '.join(keys)}))")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS touched (list, place, kind, at, PRIMARY KEY (list, place, kind)) WITHOUT ROWID"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS reached (name PRIMARY KEY, number)")

    def reached(self) -> dict[str, int]:
        """How far was read, by name of what is read."""
        with self._faults():
            return dict(self._database.execute("SELECT name, number FROM reached"))

    def is_touched(self, recommendation_id: str, place: int, kind: Kind) -> bool:
        """Whether something of this kind came of a place already."""
        with self._faults():
            found = self._database.execute(
                "SELECT 1 FROM touched WHERE list = ? AND place = ? AND kind = ?", (recommendation_id, place, kind)
            )
            return found.fetchone() is not None

    def take(self, step: Step, reached: dict[str, int]) -> None:
        """Add a step, whole or not at all."""
        with self._faults(), self._database:
            for (table, key), sums in step.sums.items():
                self._add(table, key, sums)
            self._database.executemany(
                "INSERT OR IGNORE INTO touched VALUES (?, ?, ?, ?)",
                [(*key, at) for key, at in step.touched.items()],
            )
            self._database.executemany("INSERT OR REPLACE INTO reached VALUES (?, ?)", list(reached.items()))

    def _add(self, table: str, key: Key, sums: dict[str, float]) -> None:
        names = (*KEYS[table], *sums)
        changed = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
        self._database.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)}) "
            f"ON CONFLICT DO UPDATE SET {changed}, written = 0",
            (*key, *sums.values()),
        )

    def unwritten(self, table: str) -> list[Row]:
        """Rows that have changed since `mark_written`."""
        with self._faults():
            return self._rows(table, "written = 0")

    def mark_written(self) -> None:
        """All rows are where they are to be shown."""
        with self._faults(), self._database:
            for table in KEYS:
                self._database.execute(f"UPDATE {table} SET written = 1 WHERE written = 0")

    def since(self, table: str, moment: float) -> list[Row]:
        """Rows of windows that began at a moment or later."""
        with self._faults():
            return self._rows(table, "began >= ?", moment)

    def _rows(self, table: str, condition: str, *values: float) -> list[Row]:
        names = (*KEYS[table], *SUMS[table])
        query = f"SELECT {', '.join(names)} FROM {table} WHERE {condition} ORDER BY {', '.join(KEYS[table])}"
        return [dict(zip(names, row, strict=True)) for row in self._database.execute(query, values)]

    def prune(self, now: float, oldest: float, files: set[str]) -> None:
        """Forget what lists that are not kept any more led to, files that are gone, and old counts."""
        with self._faults(), self._database:
            self._database.execute("DELETE FROM touched WHERE at < ?", (oldest,))
            for table in KEYS:
                self._database.execute(f"DELETE FROM {table} WHERE began < ?", (now - KEEP_DAYS * 86_400,))
            gone = [name for name in self.reached() if name.endswith(".jsonl") and name not in files]
            self._database.executemany("DELETE FROM reached WHERE name = ?", [(name,) for name in gone])

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise VitrineError(
                f"{self._path}: {error}; if it is damaged, move it away: what is kept is counted anew"
            ) from None
