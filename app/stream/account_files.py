"""Accounts as files: a line for each micro-batch, and one for each folder of the archive once they are long past."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from app.core.files import write_text
from app.events.archive_names import Epochs
from app.stream.differences import ACCOUNTS, LATE, LISTS, Difference
from app.stream.intake import PartCounts
from app.stream.score import Result

CHUNK = 4_096  #: micro-batches whose accounts lie in one file
SUFFIX = ".jsonl"
FOLDED = "folded.e"  #: begins the name of the file of what is long past
FROM = "_from"  #: file with the first micro-batch that the archive must still hold
LISTS_FROM = "_lists-from"  #: the same of the files of lists: what was before was deleted

Range = tuple[int, int]  #: first and last micro-batch


@dataclass(frozen=True)
class Account:
    """Rows of a micro-batch, as the intake has counted them, and what its sessions led to.

    `late`: events too late for their session. `asked`: users who must get a list. `lists`: users who got one, of
    `list_rows` rows in all. `vanished`: files that were gone before they were read. These are None where an edition
    that did not count them wrote the account.
    """

    batch: int
    rows: int
    archived: int
    rejected: int
    left_out: int
    known: int
    late: int | None = None
    asked: int | None = None
    lists: int | None = None
    list_rows: int | None = None
    vanished: int | None = None

    @classmethod
    def of(cls, batch: int, counts: PartCounts, result: Result, vanished: int) -> "Account":
        asked = result.asked - result.forgotten
        rows = (counts.rows, counts.archived, counts.rejected, counts.left_out, counts.known)
        return cls(batch, *rows, counts.late, asked, result.answered, result.rows, vanished)

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> "Account":
        """From a line; what another edition wrote beside is passed over."""
        needed = {field.name: told[field.name] for field in fields(cls) if field.default is MISSING}
        return cls(**needed | {field.name: told.get(field.name) for field in fields(cls)})

    @property
    def must(self) -> "Must":
        """What of it must be on the disk."""
        counted = self.lists is not None
        return Must(self.archived, self.rejected if counted else None, self.list_rows)

    def differences(self, source: "Source | None") -> Iterator[Difference]:
        """What is nowhere or twice, and what Spark has counted otherwise."""
        batch, kept = self.batch, self.archived + self.rejected + self.left_out + self.known
        if kept != self.rows:
            yield Difference(batch, batch, self.rows, kept)
        if self.asked is not None and self.lists is not None and self.asked != self.lists:
            yield Difference(batch, batch, self.asked, self.lists, LISTS)
        if source is not None and source.rows != self.rows:
            yield Difference(batch, batch, source.rows, self.rows)
        if source is not None and self.disagrees_of_late(source):
            yield Difference(batch, batch, self.late or 0, source.dropped or 0, LATE)

    def disagrees_of_late(self, source: "Source") -> bool:
        """Whether only one of the two knows late events; Spark counts sessions, of which each may have had several."""
        known = self.late is not None and source.dropped is not None
        return known and bool(self.late) != bool(source.dropped)


@dataclass(frozen=True)
class Source:
    """What Spark says of a micro-batch: rows at its source, and how many sessions it has dropped as too late."""

    rows: int
    dropped: int | None = None


class Must(NamedTuple):
    """Rows that must be in the archive, in `rejected` and in files of lists; None where that is not known."""

    archived: int
    rejected: int | None
    lists: int | None

    @classmethod
    def sum(cls, parts: Sequence["Must"]) -> "Must":
        """Of several micro-batches; lists are asked for by micro-batch alone."""
        rejected = [part.rejected for part in parts if part.rejected is not None]
        return cls(sum(part.archived for part in parts), sum(rejected) if len(rejected) == len(parts) else None, None)


@dataclass
class Books:
    """What is known: of all micro-batches from `begin` up to `end`, which is not among them.

    `must`: what must be on the disk, by micro-batches. `noticed`: what was lost before it came there.
    """

    begin: int
    end: int
    must: dict[Range, Must]
    noticed: set[Difference]

    def add(self, account: Account) -> None:
        """Take in one more, or another of the same micro-batch."""
        batch = account.batch
        self.noticed = {found for found in self.noticed if found.first != batch}
        self.noticed.update(account.differences(None))
        if self.must or self.end:  # of a stream that has just begun nothing can be missing
            self.noticed.update(_gaps([batch], min(self.end, batch), batch + 1))
        self.must[batch, batch] = account.must
        self.end = max(self.end, batch + 1)


@dataclass(frozen=True)
class AccountFiles:
    """The folder of accounts, as the stream of an epoch writes it."""

    folder: Path
    epoch: int

    def append(self, batch: int, line: Mapping[str, Any], *, lasting: bool) -> None:
        """Add a line about a micro-batch; `lasting`: there after a power cut."""
        with (self.folder / f"{batch // CHUNK * CHUNK:09d}.e{self.epoch:06d}{SUFFIX}").open("a") as file:
            file.write(json.dumps(line) + "\n")
            if lasting:
                file.flush()
                os.fsync(file.fileno())

    def read(self, epochs: Epochs) -> Books:
        """What the accounts of the owners of each micro-batch say."""
        past = [*_lines(self._folded())]
        before = past[0]["before"] if past else 0
        accounts, sources = dict[int, Account](), dict[int, Source]()
        for path in self._chunks():
            for line in _lines(path):
                batch = line["batch"]
                if batch < before or epochs.owner(batch) != _epoch(path):
                    continue
                if "source" in line:
                    sources[batch] = Source(line["source"], line.get("dropped"))
                else:
                    accounts[batch] = Account.parse(line)
        begin = self._begin(min(accounts, default=0))
        must = {
            (line["first"], line["last"]): Must(line["archived"], line.get("rejected"), None)
            for line in past
            if "archived" in line
        }
        must |= {(batch, batch): account.must for batch, account in accounts.items()}
        noticed = {Difference(**line) for line in past if "expected" in line}
        counted_from = max([begin, before, *(found.last + 1 for found in noticed if found.what == ACCOUNTS)])
        end = max([counted_from, *(batch + 1 for batch in accounts)])
        if accounts or past or self._has_begun():
            end = max(end, next((first for epoch, first in epochs.starts if epoch == self.epoch), 0))
            noticed.update(_gaps([batch for batch in accounts if batch >= counted_from], counted_from, end))
        for account in accounts.values():
            noticed.update(account.differences(sources.get(account.batch)))
        return since(Books(begin, end, must, noticed), begin)

    def begin(self, batch: int) -> None:
        """Remember the very first micro-batch that there is an account of, unless one is remembered."""
        if not self._has_begun():
            write_text(self.folder / FROM, str(batch))

    def close(self, before: int) -> None:
        """Remember that what was before a micro-batch need not be there any more."""
        write_text(self.folder / FROM, str(before))
        self._delete_chunks(before)

    def fold(self, before: int, books: Books) -> None:
        """Keep what `books` says of the micro-batches before one, in place of their lines."""
        lines: list[dict[str, Any]] = [{"before": before}]
        lines += [
            {"first": first, "last": last, "archived": must.archived}
            | ({} if must.rejected is None else {"rejected": must.rejected})
            for (first, last), must in sorted(books.must.items())
            if last < before
        ]
        lines += [asdict(difference) for difference in books.noticed if difference.first < before]
        write_text(self.folder / FROM, str(books.begin))
        mine = self.folder / f"{FOLDED}{self.epoch:06d}{SUFFIX}"
        write_text(mine, "".join(f"{json.dumps(line)}\n" for line in lines))
        for other in self.folder.glob(f"{FOLDED}*{SUFFIX}"):
            if _epoch(other) < self.epoch:
                other.unlink(missing_ok=True)
        self._delete_chunks(before)

    def lists_from(self) -> int | None:
        """The first micro-batch whose lists were not deleted; None where an earlier edition did not note it."""
        path = self.folder / LISTS_FROM
        return int(path.read_text()) if path.exists() else None

    def delete_lists(self, before: int) -> None:
        """Remember that lists of what was before a micro-batch need not be there any more."""
        write_text(self.folder / LISTS_FROM, str(before))

    def foldable(self, before: int) -> bool:
        """Whether there are lines of micro-batches before one, in files of their own."""
        return any(_first(path) + CHUNK <= before for path in self._chunks())

    def oldest(self) -> int:
        """The lowest micro-batch that files of single accounts may tell of."""
        return min(map(_first, self._chunks()), default=0)

    def _has_begun(self) -> bool:
        return (self.folder / FROM).exists()

    def _begin(self, first: int) -> int:
        path = self.folder / FROM
        return int(path.read_text()) if path.exists() else first

    def _folded(self) -> Path | None:
        return max(self.folder.glob(f"{FOLDED}*{SUFFIX}"), key=_epoch, default=None)

    def _chunks(self) -> list[Path]:
        return sorted(self.folder.glob(f"[0-9]*{SUFFIX}"))

    def _delete_chunks(self, before: int) -> None:
        for path in self._chunks():
            if _first(path) + CHUNK <= before:
                path.unlink(missing_ok=True)


def since(books: Books, begin: int) -> Books:
    """What is known from a micro-batch on."""
    must = {part: rows for part, rows in books.must.items() if part[0] >= begin}
    noticed = {found for found in books.noticed if found.first >= begin}
    for gap in books.noticed:
        if gap.what == ACCOUNTS and gap.first < begin <= gap.last:
            noticed.add(_gap(begin, gap.last))
    return Books(begin, max(begin, books.end), must, noticed)


def _gaps(batches: Iterable[int], begin: int, end: int) -> Iterator[Difference]:
    """Micro-batches from one up to another that there is no account of."""
    for batch in (*sorted(batches), end):
        if batch > begin:
            yield _gap(begin, batch - 1)
        begin = batch + 1


def _gap(first: int, last: int) -> Difference:
    return Difference(first, last, last - first + 1, 0, ACCOUNTS)


def _lines(path: Path | None) -> Iterable[dict[str, Any]]:
    for line in path.read_text().splitlines() if path is not None else ():
        try:
            yield json.loads(line)
        except ValueError:  # the last line of a writer that was killed
            continue


def _epoch(path: Path) -> int:
    return int(path.name.rsplit(".e", 1)[1].removesuffix(SUFFIX))


def _first(path: Path) -> int:
    return int(path.name.split(".")[0])
