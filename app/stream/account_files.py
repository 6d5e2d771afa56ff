"""Accounts as files: a line for each micro-batch, and one for each folder of the archive once they are long past."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from app.core.files import write_text
from app.events.archive_names import Epochs
from app.stream.intake import PartCounts

CHUNK = 4_096  #: micro-batches whose accounts lie in one file
SUFFIX = ".jsonl"
FOLDED = "folded.e"  #: begins the name of the file of what is long past
FROM = "_from"  #: file with the first micro-batch that the archive must still hold

Range = tuple[int, int]  #: first and last micro-batch


@dataclass(frozen=True)
class Account:
    """Rows of a micro-batch, as the intake has counted them."""

    batch: int
    rows: int
    archived: int
    rejected: int
    left_out: int
    known: int

    @classmethod
    def of(cls, batch: int, counts: PartCounts) -> "Account":
        return cls(batch, counts.rows, counts.archived, counts.rejected, counts.left_out, counts.known)

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> "Account":
        """From a line; what another edition wrote beside is passed over."""
        return cls(**{field.name: int(told[field.name]) for field in fields(cls)})

    def differences(self, source: int | None) -> Iterator["Difference"]:
        """Rows of the intake that are nowhere or twice, and those that Spark has counted otherwise at its source."""
        kept = self.archived + self.rejected + self.left_out + self.known
        if kept != self.rows:
            yield Difference(self.batch, self.batch, self.rows, kept)
        if source is not None and source != self.rows:
            yield Difference(self.batch, self.batch, source, self.rows)


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


@dataclass
class Books:
    """What is known: of all micro-batches from `begin` on.

    `archived`: rows that must be in the archive, by micro-batches. `at_source`: rows that were lost before.
    """

    begin: int
    archived: dict[Range, int]
    at_source: set[Difference]


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
        accounts, sources = dict[int, Account](), dict[int, int]()
        for path in self._chunks():
            for line in _lines(path):
                batch = line["batch"]
                if batch < before or epochs.owner(batch) != _epoch(path):
                    continue
                if "source" in line:
                    sources[batch] = line["source"]
                else:
                    accounts[batch] = Account.parse(line)
        begin = self._begin(min(accounts, default=0))
        archived = {(line["first"], line["last"]): line["archived"] for line in past if "archived" in line}
        archived |= {(batch, batch): account.archived for batch, account in accounts.items()}
        found = {Difference(**line) for line in past if "expected" in line}
        for account in accounts.values():
            found.update(account.differences(sources.get(account.batch)))
        return since(Books(begin, archived, found), begin)

    def close(self, before: int) -> None:
        """Remember that what was before a micro-batch need not be there any more."""
        write_text(self.folder / FROM, str(before))
        self._delete_chunks(before)

    def fold(self, before: int, books: Books) -> None:
        """Keep what `books` says of the micro-batches before one, in place of their lines."""
        lines: list[dict[str, int]] = [{"before": before}]
        lines += [
            {"first": first, "last": last, "archived": rows}
            for (first, last), rows in sorted(books.archived.items())
            if last < before
        ]
        lines += [asdict(difference) for difference in books.at_source if difference.last < before]
        write_text(self.folder / FROM, str(books.begin))
        mine = self.folder / f"{FOLDED}{self.epoch:06d}{SUFFIX}"
        write_text(mine, "".join(f"{json.dumps(line)}\n" for line in lines))
        for other in self.folder.glob(f"{FOLDED}*{SUFFIX}"):
            if _epoch(other) < self.epoch:
                other.unlink(missing_ok=True)
        self._delete_chunks(before)

    def foldable(self, before: int) -> bool:
        """Whether there are lines of micro-batches before one, in files of their own."""
        return any(_first(path) + CHUNK <= before for path in self._chunks())

    def oldest(self) -> int:
        """The lowest micro-batch that files of single accounts may tell of."""
        return min(map(_first, self._chunks()), default=0)

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
    archived = {part: rows for part, rows in books.archived.items() if part[0] >= begin}
    return Books(begin, archived, {found for found in books.at_source if found.first >= begin})


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
