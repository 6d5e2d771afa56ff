"""What became of every row: kept for each micro-batch, and held against what lies on the disk.

Three numbers are of different makers: Spark counts what its source gives, the intake what it writes and hands
on, and the archive's files say what they hold. Where they differ, rows were lost or doubled.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from app.core.errors import VitrineError
from app.events.archive_names import BatchRange, Epochs
from app.stream.account_files import CHUNK, Account, AccountFiles, Books, Difference, Range, since
from app.stream.archive import Archive, stored_rows

COUNTED_AGAIN = 64  #: folders whose files are opened at each audit though no file has come or gone


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
        self._files, self._archive, self._epochs = AccountFiles(folder, epoch), archive, epochs
        self._lock = threading.Lock()
        self._pending: dict[int, Account] = {}
        self._books = self._files.read(epochs)
        self._stored = _StoredRows(archive)
        self._damaged: list[Difference] = []

    def write(self, account: Account) -> None:
        """Keep the account of a micro-batch; a second one of the same replaces it."""
        self._files.append(account.batch, asdict(account), lasting=True)
        with self._lock:
            self._pending[account.batch] = account
            self._books.archived[account.batch, account.batch] = account.archived
            self._books.at_source = {found for found in self._books.at_source if found.first != account.batch}
            self._books.at_source.update(account.differences(None))

    def committed(self, batch: int, rows: int) -> None:
        """Compare a micro-batch's account with the rows that Spark has counted at its source."""
        with self._lock:
            account = self._pending.pop(batch, None)
            if account is not None:
                self._books.at_source.update(account.differences(rows))
        if account is not None and account.rows != rows:
            self._files.append(batch, {"batch": batch, "source": rows}, lasting=True)

    def audit(self) -> list[Difference]:
        """Hold the archive against the accounts.

        Returns
        -------
        list of Difference
            All that are known: in the archive as it is, and of rows that were lost before they came there.
        """
        with self._lock:
            books = since(self._books, self._books.begin)  # taken first: what comes meanwhile is no difference
        folders = self._archive.folders(self._epochs)
        self._stored.look(folders)
        self._damaged = [*self._differences(books, folders)]
        return sorted([*books.at_source, *self._damaged], key=lambda found: (found.first, found.expected))

    def agree(self, part: BatchRange) -> bool:
        """Whether the last audit has missed nothing of some micro-batches in the archive."""
        return not any(found.first <= part.last and part.first <= found.last for found in self._damaged)

    def forget(self, before: int) -> None:
        """Close the accounts of micro-batches that the archive no longer has to hold."""
        if before <= self._books.begin:
            return
        self._files.close(before)  # also for the next stream: one file has accounts of many
        with self._lock:
            self._books = since(self._books, before)

    def oldest(self) -> int:
        """The lowest micro-batch whose account may be neither closed nor folded: whose it is, its epoch's mark says."""
        return max(self._books.begin, self._files.oldest())

    def fold(self, before: int) -> None:
        """Keep one line for each folder of the archive, of micro-batches that are before one and long past."""
        before = before // CHUNK * CHUNK
        if not self._files.foldable(before):
            return
        folders = [part for part in self._archive.folders(self._epochs) if part.last < before]
        with self._lock:
            past = {part: rows for part, rows in self._books.archived.items() if part[1] < before}
            kept = {part: rows for part, rows in self._books.archived.items() if part[1] >= before}
            self._books.archived = kept | _folded(past, folders)
            books = since(self._books, self._books.begin)
        self._files.fold(before, books)

    def _differences(self, books: Books, folders: list[BatchRange]) -> Iterator[Difference]:
        there = {(part.first, part.last): part for part in folders}
        for (first, last), ranges in _groups({*books.archived, *there}):
            parts = [there[found] for found in ranges if found in there]
            told = [books.archived[found] for found in ranges if found in books.archived]
            must = sum(told) if told and first >= books.begin else self._manifests(parts)
            found = sum(map(self._stored.of, parts))
            if must is not None and must != found:
                yield Difference(first, last, must, found)

    def _manifests(self, parts: list[BatchRange]) -> int | None:
        """Rows that folders must hold by their own word; None if one does not say."""
        try:
            manifests = map(self._archive.manifest, parts)
            return sum(manifest.rows + manifest.cut for manifest in manifests)
        except VitrineError:
            return None


class _StoredRows:
    """Rows in the files of folders, and those that were cut out: looked at anew where files have come or gone, and all
    of them by and by."""

    def __init__(self, archive: Archive):
        self._archive = archive
        self._known: dict[BatchRange, tuple[float, int]] = {}  # when the folder was last changed; longest known first

    def look(self, folders: list[BatchRange]) -> None:
        """Take note of the folders that there are."""
        there = set(folders)
        known = [(part, found) for part, found in self._known.items() if part in there]
        self._known = dict(islice(known, COUNTED_AGAIN, None))

    def of(self, part: BatchRange) -> int:
        try:
            changed = self._archive.made(part)
        except FileNotFoundError:  # just lost
            return 0
        known = self._known.get(part)
        if known is None or known[0] != changed:
            self._known.pop(part, None)
            known = self._known[part] = changed, stored_rows(self._archive.folder / part.name) + self._archive.cut(part)
        return known[1]


def _groups(ranges: Iterable[Range]) -> Iterator[tuple[Range, list[Range]]]:
    """Ranges by the largest that holds them: of any two, one holds the other or they have nothing in common."""
    group: list[Range] = []
    for found in sorted(ranges, key=lambda found: (found[0], -found[1])):
        if group and found[0] > group[0][1]:
            yield group[0], group
            group = []
        group.append(found)
    if group:
        yield group[0], group


def _folded(rows: dict[Range, int], folders: list[BatchRange]) -> dict[Range, int]:
    """Sums by folder; what must be in none is left out, as is a folder without account, whose own word counts."""
    there = {(part.first, part.last) for part in folders}
    folded: dict[Range, int] = {}
    for largest, ranges in _groups({*rows, *there}):
        told = [rows[found] for found in ranges if found in rows]
        if told and (sum(told) or largest in there):
            folded[largest] = sum(told)
    return folded
