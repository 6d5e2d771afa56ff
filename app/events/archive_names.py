"""Which folders of a stream's archive count: decided by their names alone.

A micro-batch is a folder `batch-<number>-e<epoch>`; `batches-<first>-<last>-e<epoch>` holds several that
were compacted. `_epochs/e<epoch>-from-<number>` records at which micro-batch an epoch began, that is,
which stream owns which numbers. What a stream wrote after another had taken over is of an epoch that does
not own the number, and counts for nobody; nor does a folder whose micro-batches a larger one holds.
The folders `batch-<number>` of the first edition, which knew no epochs, always count: they come before all others.
`-c<number>` ends the name of a folder that forgotten users were cut out of, so many times: the highest counts.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

EPOCHS = "_epochs"  #: folder of the marks; Spark passes over names with a leading underscore
MARK = re.compile(r"e(\d+)-from-(\d+)$")
FOLDER = re.compile(r"batch(?:es)?-(\d+)(?:-(\d+))?-e(\d+)(?:-c(\d+))?$")
FIRST_EDITION = re.compile(r"batch-(\d+)(?:-c(\d+))?$")
FIRST_EDITION_OFFSET = 10**9  #: subtracted from the numbers of the first edition


@dataclass(frozen=True, order=True)
class BatchRange:
    """Micro-batches `first` to `last`, as `epoch` wrote them; `cut`: how often forgotten users were cut out."""

    first: int
    last: int
    epoch: int
    cut: int = 0

    @classmethod
    def parse(cls, name: str) -> "BatchRange | None":
        """From the name of a folder (without those above it); None where it is no such folder."""
        found = FOLDER.match(name)
        if found is None:
            old = FIRST_EDITION.match(name)
            number = int(old[1]) - FIRST_EDITION_OFFSET if old else 0
            return cls(number, number, 0, int(old[2] or 0)) if old else None
        first = int(found[1])
        return cls(first, int(found[2] or first), int(found[3]), int(found[4] or 0))

    @property
    def name(self) -> str:
        cut = f"-c{self.cut}" if self.cut else ""
        if self.first < 0:
            return f"batch-{self.first + FIRST_EDITION_OFFSET:09d}{cut}"
        if self.first == self.last:
            return f"batch-{self.first:09d}-e{self.epoch:06d}{cut}"
        return f"batches-{self.first:09d}-{self.last:09d}-e{self.epoch:06d}{cut}"

    def after_cut(self, epoch: int) -> "BatchRange":
        """What counts in place of this once the stream of an epoch has cut forgotten users out of it."""
        return BatchRange(self.first, self.last, epoch if self.first >= 0 else 0, self.cut + 1)

    def holds(self, other: "BatchRange") -> bool:
        """Whether all micro-batches of another range are in this one."""
        return self.first <= other.first and other.last <= self.last


@dataclass(frozen=True)
class Epochs:
    """Where each epoch began: `starts` are (epoch, first micro-batch)."""

    starts: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, names: Iterable[str]) -> "Epochs":
        """From the names of marks."""
        found = (MARK.match(name) for name in names)
        return cls(tuple(sorted((int(mark[1]), int(mark[2])) for mark in found if mark)))

    @property
    def latest(self) -> int:
        """0 if none has begun."""
        return self.starts[-1][0] if self.starts else 0

    def owner(self, batch: int) -> int:
        """The epoch whose word counts about a micro-batch."""
        return max((epoch for epoch, first in self.starts if first <= batch), default=0)

    def counting(self, ranges: Iterable[BatchRange]) -> list[BatchRange]:
        """Those that count, in order: each micro-batch once."""
        latest: dict[tuple[int, int], BatchRange] = {}
        for part in sorted(ranges, key=lambda part: (part.epoch, part.cut)):
            if part.epoch >= self.owner(part.last):
                latest[part.first, part.last] = part
        counting: list[BatchRange] = []
        # Ranges are aligned, so that two either hold one another or have nothing in common.
        for part in sorted(latest.values(), key=lambda part: (part.first, -part.last)):
            if not counting or part.first > counting[-1].last:
                counting.append(part)
        return counting


def mark_name(epoch: int, first: int) -> str:
    """The name of a mark, within its folder."""
    return f"e{epoch:06d}-from-{first:09d}"


def without_uncounted(names: Iterable[str], marks: Callable[[str], Iterable[str]]) -> list[str]:
    """Files of a log, without those that lie in folders of an archive that don't count.

    Parameters
    ----------
    names
        Full names of all files found.
    marks
        Gives the names of an archive's marks, by the archive's own name.
    """
    placed = [(name, *_placed(name)) for name in names]
    ranges: dict[str, set[BatchRange]] = {}
    for _, archive, part in placed:
        if part is not None:
            ranges.setdefault(archive, set()).add(part)
    counting = {archive: {*Epochs.parse(marks(archive)).counting(parts)} for archive, parts in ranges.items()}
    return [name for name, archive, part in placed if part is None or part in counting[archive]]


def _placed(name: str) -> tuple[str, BatchRange | None]:
    """The archive that a file lies in, and its folder there."""
    folder = name.rpartition("/")[0]
    archive, _, last = folder.rpartition("/")
    return archive, BatchRange.parse(last)
