"""What became of every row: kept for each micro-batch, and held against what lies on the disk.

Three numbers are of different makers: Spark counts what its source gives, the intake what it writes and hands
on, and the archive's files say what they hold. Where they differ, rows were lost or doubled.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from app.core.errors import VitrineError
from app.core.files import write_text
from app.events.archive_names import BatchRange, Epochs
from app.stream.archive import Archive, stored_rows
from app.stream.intake import PartCounts

CHUNK = 4_096  #: micro-batches whose accounts lie in one file
SUFFIX = ".jsonl"
FROM = "_from"  #: file with the first micro-batch that the archive must still hold


@dataclass(frozen=True)
class Account:
    """Rows of a micro-batch, as the intake has counted them; `lists` were written for it."""

    batch: int
    rows: int
    archived: int
    rejected: int
    left_out: int
    known: int
    lists: int

    @classmethod
    def of(cls, batch: int, counts: PartCounts, lists: int) -> "Account":
        return cls(batch, counts.rows, counts.archived, counts.rejected, counts.left_out, counts.known, lists)

    @property
    def lost(self) -> int:
        """Rows of the intake that are nowhere; negative if they are there more than once."""
        return self.rows - self.archived - self.rejected - self.left_out - self.known


@dataclass(frozen=True)
class Difference:
    """Rows that micro-batches must have, and those that are there."""

    first: int
    last: int
    expected: int
    found: int

    def __str__(self) -> str:
        named = f"micro-batch {self.first}" if self.first == self.last else f"micro-batches {self.first} to {self.last}"
        return f"{named}: {self.expected} rows must be there, {self.found} are"


class Accounts:
    """The accounts of a stream.

    Thread-safe: micro-batches write, Spark's progress is compared, one thread audits.

    Parameters
    ----------
    folder
        Where they are kept.
    archive
        What they are held against.
    epoch
        Of the stream.
    epochs
        All that have begun.
    """

    def __init__(self, folder: Path, archive: Archive, epoch: int, epochs: Epochs):
        self._folder, self._archive, self._epoch, self._epochs = folder, archive, epoch, epochs
        self._lock = threading.Lock()
        self._pending: dict[int, Account] = {}
        self._begin = int((folder / FROM).read_text()) if (folder / FROM).exists() else 0
        self._expected = _archived(folder, epochs, self._begin)
        self._at_source: list[Difference] = []

    def write(self, account: Account) -> None:
        """Keep the account of a micro-batch; a second one of the same replaces it."""
        with _path(self._folder, account.batch, self._epoch).open("a") as file:
            file.write(json.dumps(asdict(account)) + "\n")
        with self._lock:
            self._pending[account.batch] = account
            self._expected[account.batch] = account.archived
            if account.lost:
                found = account.rows - account.lost
                self._at_source.append(Difference(account.batch, account.batch, account.rows, found))

    def committed(self, batch: int, rows: int) -> None:
        """Compare a micro-batch's account with the rows that Spark has counted at its source."""
        with self._lock:
            account = self._pending.pop(batch, None)
            if account is not None and account.rows != rows:
                self._at_source.append(Difference(batch, batch, rows, account.rows))

    def audit(self) -> list[Difference]:
        """Hold the archive against the accounts.

        Returns
        -------
        list of Difference
            All that are known: in the archive as it is, and of rows that were lost before they came there.
        """
        with self._lock:
            expected = dict(self._expected)  # taken first: what comes meanwhile is no difference
        folders = self._archive.folders(self._epochs)
        found = [*_missing(expected, folders)]
        for part in folders:
            must, there = self._must(part, expected), stored_rows(self._archive.folder / part.name)
            if must is not None and there != must:
                found.append(Difference(part.first, part.last, must, there))
        with self._lock:
            return sorted([*self._at_source, *found], key=lambda difference: difference.first)

    def forget(self, before: int) -> None:
        """Close the accounts of micro-batches that the archive no longer has to hold."""
        if before <= self._begin:
            return
        self._begin = before
        write_text(self._folder / FROM, str(before))  # also for the next stream: one file has accounts of many
        for path in self._folder.glob(f"*{SUFFIX}"):
            if _first(path) + CHUNK <= before:
                path.unlink(missing_ok=True)
        with self._lock:
            self._expected = {batch: rows for batch, rows in self._expected.items() if batch >= before}

    def _must(self, part: BatchRange, expected: dict[int, int]) -> int | None:
        """Rows that a folder must hold; None if it is older than all that is known."""
        if part.first in expected and part.last in expected:
            return sum(expected.get(batch, 0) for batch in range(part.first, part.last + 1))
        try:
            return self._archive.manifest(part).rows
        except VitrineError:
            return None


def _archived(folder: Path, epochs: Epochs, begin: int) -> dict[int, int]:
    """Rows that must be in the archive, by micro-batch from `begin` on, as the accounts of their owners say."""
    rows: dict[int, int] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        epoch = int(path.name.split(".e")[1].removesuffix(SUFFIX))
        for line in path.read_text().splitlines():
            try:
                account = Account(**json.loads(line))
            except (ValueError, TypeError):  # the last line of a writer that was killed
                continue
            if account.batch >= begin and epochs.owner(account.batch) == epoch:
                rows[account.batch] = account.archived
    return rows


def _missing(expected: dict[int, int], folders: Iterable[BatchRange]) -> Iterator[Difference]:
    there: set[int] = set()
    for part in folders:
        there.update(range(part.first, part.last + 1))
    for batch, rows in expected.items():
        if rows and batch not in there:
            yield Difference(batch, batch, rows, 0)


def _path(folder: Path, batch: int, epoch: int) -> Path:
    return folder / f"{batch // CHUNK * CHUNK:09d}.e{epoch:06d}{SUFFIX}"


def _first(path: Path) -> int:
    return int(path.name.split(".")[0])
