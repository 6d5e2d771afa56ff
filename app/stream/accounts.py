"""What became of every row: kept for each micro-batch, and held against what lies on the disk.

Numbers are of different makers: Spark counts what its source gives and which sessions it drops as too late, the
intake what it writes and hands on and who must get a list, the scorer who got one, and the files of archive, rejected
rows and lists say what they hold, and how many rows of forgotten users they held. Where they differ, something was lost
or doubled.
"""

import threading
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from app.core.errors import VitrineError
from app.events.archive_names import BatchRange, Epochs
from app.stream.account_files import CHUNK, Account, AccountFiles, Books, Must, Range, Source, since
from app.stream.archive import Archive, accounted_rows, parquet_files
from app.stream.counted_files import CountedFiles
from app.stream.differences import ACCOUNTS, LIST_ROWS, REJECTED, Difference, Unread
from app.stream.list_files import parts
from app.stream.taken_out import written_rows

Name = TypeVar("Name", bound=Hashable)


class Accounts:
    """The accounts of a stream.

    Thread-safe: micro-batches write, Spark's progress is compared, one thread audits.

    Parameters
    ----------
    folder
        Where they are kept.
    archive
        What they are held against.
    lists
        Folder of the files of lists, and of how many micro-batches these are kept.
    epoch
        Of the stream.
    epochs
        All that have begun.
    """

    def __init__(self, folder: Path, archive: Archive, lists: tuple[Path, int], epoch: int, epochs: Epochs):
        self._files, self._archive, self._epochs = AccountFiles(folder, epoch), archive, epochs
        self._lists, self._keep = lists
        self._lock = threading.Lock()
        self._pending: dict[int, Account] = {}
        self._books = self._files.read(epochs)
        self._stored = CountedFiles[Path](accounted_rows, _changed)
        self._refused = CountedFiles[Path](lambda folder: sum(map(written_rows, parquet_files(folder))), _changed)
        self._listed = CountedFiles[str](
            lambda name: written_rows(self._lists / name), lambda name: (self._lists / name).stat().st_mtime
        )
        self._damaged: list[Difference] = []
        self._rejects_lost: list[Difference] = []

    def write(self, account: Account) -> None:
        """Keep the account of a micro-batch; a second one of the same replaces it."""
        self._files.begin(self._books.begin if self._books.must else account.batch)
        self._files.append(account.batch, asdict(account), lasting=True)
        with self._lock:
            self._pending[account.batch] = account
            self._books.add(account)

    def committed(self, batch: int, rows: int, dropped: int) -> Account | None:
        """Compare a micro-batch's account with what Spark has counted.

        Parameters
        ----------
        batch
            Its number.
        rows
            At its source.
        dropped
            Sessions that were too late.

        Returns
        -------
        Account or None
            The account; None if it is not of a micro-batch that has just ended.
        """
        source = Source(rows, dropped)
        with self._lock:
            account = self._pending.pop(batch, None)
            if account is not None:
                self._books.noticed.update(account.differences(source))
        if account is not None and (account.rows != rows or account.disagrees_of_late(source)):
            self._files.append(batch, {"batch": batch, "source": rows, "dropped": dropped}, lasting=True)
        return account

    def audit(self) -> list[Difference]:
        """Hold what lies on the disk against the accounts.

        Returns
        -------
        list of Difference
            All that are known: on the disk as it is, and of what was lost before it came there.
        """
        with self._lock:
            books = since(self._books, self._books.begin)  # taken first: what comes meanwhile is no difference
        folders, rejected = self._archive.folders(self._epochs), self._archive.rejected_folders(self._epochs)
        self._stored.look(map(self._archived, folders))
        self._refused.look(map(self._rejected, rejected))
        self._damaged = [*self._of_archive(books, folders)]
        self._rejects_lost = [*self._of_rejected(books, rejected)]
        found = [*books.noticed, *self._damaged, *self._rejects_lost, *self._of_lists(books)]
        return sorted(found, key=lambda found: (found.first, found.what, found.expected))

    def agree(self, part: BatchRange) -> bool:
        """Whether the last audit has missed nothing of some micro-batches in the archive."""
        return not _meets(self._damaged, part)

    def agree_of_rejected(self, part: BatchRange) -> bool:
        """Whether it has missed none of their rejected rows."""
        return not _meets(self._rejects_lost, part)

    def forget(self, before: int) -> None:
        """Close the accounts of micro-batches that the archive no longer has to hold."""
        if before <= self._books.begin:
            return
        self._files.close(before)  # also for the next stream: one file has accounts of many
        with self._lock:
            self._books = since(self._books, before)

    def keep_lists(self, first: int) -> None:
        """Ask for no lists of the micro-batches before one, whose files will now be deleted."""
        noted = self._files.lists_from()
        if noted is None:  # of an edition that noted nothing: what is there was not deleted
            noted = min(self._files_of_lists(), default=0)
        if (kept := max(first, noted)) != self._files.lists_from():
            self._files.delete_lists(kept)

    def oldest(self) -> int:
        """The lowest micro-batch whose account may be neither closed nor folded: whose it is, its epoch's mark says."""
        return max(self._books.begin, self._files.oldest())

    def fold(self, before: int) -> None:
        """Keep one line for each folder of the archive, of micro-batches that are before one and long past."""
        before = (before - self._keep) // CHUNK * CHUNK  # lists are asked for by micro-batch
        if not self._files.foldable(before):
            return
        folders = [part for part in self._archive.folders(self._epochs) if part.last < before]
        with self._lock:
            past = {part: must for part, must in self._books.must.items() if part[1] < before}
            kept = {part: must for part, must in self._books.must.items() if part[1] >= before}
            self._books.must = kept | _folded(past, folders)
            books = since(self._books, self._books.begin)
        self._files.fold(before, books)

    def _files_of_lists(self) -> dict[int, list[str]]:
        """Names of those that count, by micro-batch."""
        there: dict[int, list[str]] = {}
        for batch, epoch, name in parts(self._lists):
            if epoch >= self._epochs.owner(batch) and name.endswith(".parquet"):
                there.setdefault(batch, []).append(name)
        return there

    def _archived(self, part: BatchRange) -> Path:
        return self._archive.folder / part.name

    def _rejected(self, part: BatchRange) -> Path:
        return self._archive.rejected / part.name

    def _of_archive(self, books: Books, folders: list[BatchRange]) -> Iterator[Difference]:
        there = {(part.first, part.last): part for part in folders}
        gaps = [found for found in books.noticed if found.what == ACCOUNTS]
        for (first, last), ranges in _groups({*books.must, *there}):
            parts = [there[found] for found in ranges if found in there]
            told = [books.must[found].archived for found in ranges if found in books.must]
            must = sum(told) if told and first >= books.begin else self._manifests(parts)
            if must is not None and any(gap.first <= last and first <= gap.last for gap in gaps):
                must = max(must, self._manifests(parts) or 0)  # of what has no account the folder's own word counts
            paths = [*map(self._archived, parts)]
            found = sum(map(self._stored.of, paths))
            if must is not None and must != found:
                yield _told(Difference(first, last, must, found), self._stored, paths)

    def _manifests(self, parts: list[BatchRange]) -> int | None:
        """Rows that folders must hold by their own word; None if one does not say, or not now."""
        try:
            manifests = map(self._archive.manifest, parts)
            return sum(manifest.rows + manifest.cut for manifest in manifests)
        except (VitrineError, OSError):
            return None

    def _of_rejected(self, books: Books, folders: list[BatchRange]) -> Iterator[Difference]:
        there = {(part.first, part.last): part for part in folders}
        for (first, last), ranges in _groups({*books.must, *there}):
            told = [books.must[found] for found in ranges if found in books.must]
            must = Must.sum(told).rejected if told and first >= books.begin else None
            paths = [self._rejected(there[part]) for part in ranges if part in there]
            found = sum(map(self._refused.of, paths))
            if must is not None and must != found:
                yield _told(Difference(first, last, must, found, REJECTED), self._refused, paths)

    def _of_lists(self, books: Books) -> Iterator[Difference]:
        """Of the micro-batches whose lists are kept; earlier ones were deleted, perhaps by an earlier setting."""
        there, noted = self._files_of_lists(), self._files.lists_from()
        begin = max(books.end - self._keep, min(there, default=0) if noted is None else noted)
        self._listed.look(name for batch, names in there.items() if batch >= begin for name in names)
        for (first, last), must in books.must.items():
            if first == last >= begin and must.lists is not None:
                names = there.get(first, [])
                found = sum(map(self._listed.of, names))
                if found != must.lists:
                    yield _told(Difference(first, last, must.lists, found, LIST_ROWS), self._listed, names)


def _meets(differences: list[Difference], part: BatchRange) -> bool:
    return any(found.first <= part.last and part.first <= found.last for found in differences)


def _told(difference: Difference, files: CountedFiles[Name], names: Iterable[Name]) -> Difference:
    """With the reason, where one of the files that it is of can't be read now."""
    why = files.unread(names)
    return difference if why is None else Unread(**asdict(difference), why=why)


def _changed(folder: Path) -> float:
    return folder.stat().st_mtime


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


def _folded(must: dict[Range, Must], folders: list[BatchRange]) -> dict[Range, Must]:
    """Sums by folder; what must be in none is left out, as is a folder without account, whose own word counts."""
    there = {(part.first, part.last) for part in folders}
    folded: dict[Range, Must] = {}
    for largest, ranges in _groups({*must, *there}):
        told = [must[found] for found in ranges if found in must]
        total = Must.sum(told)
        if told and (total.archived or total.rejected or largest in there):
            folded[largest] = total
    return folded
