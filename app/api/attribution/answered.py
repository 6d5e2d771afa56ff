"""What was answered: every list with its places, so that an event that names the list can be held against it.

Each process appends to files of its own, one an hour, off the path of the answers; all others read them. An id says
where its list lies: the hour, the file and the offset in it. So nothing has to be searched or kept in memory. What a
killed process had not written yet, a second of it, is not found: events on these lists count as on unknown ones.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from app.api.models import ReasonKind
from app.core.part import Part

HOUR = 3600
PORTION = 10_000  #: bytes that are handed out together: while they are counted, nothing is answered
NAME = re.compile(r"[0-9a-f]{6}-[0-9a-f]{8}\.jsonl")
ID = re.compile(r"([0-9a-f]{6})([0-9a-f]{8})([0-9a-f]{10})")


class Because(Part):
    """What put a product into a list, as it is counted: the source, and the kind of the reason."""

    source: str
    reason: ReasonKind


class Answered(Part):
    """A list as it was answered: `products` best first, `because` the place in `causes` of each."""

    at: float
    model_version: str
    variant: str
    experiment: str
    products: tuple[str, ...]
    causes: tuple[Because, ...]
    because: tuple[int, ...]

    def line(self) -> bytes:
        """The list as a line of its file."""
        return self.model_dump_json().encode() + b"\n"


@dataclass
class _File:
    """The file that is being written: its name, where the next line goes, and lines that wait."""

    hour: int
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    end: int = 0
    written: int = 0
    waiting: list[bytes] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.hour:06x}-{self.tag}.jsonl"


class AnsweredLists:
    """Writes the lists of this process down.

    Parameters
    ----------
    folder
        Shared by all processes; made if missing.
    now
        Seconds since 1970.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time):
        self.folder, self._now, self._guard, self._writing = folder, now, threading.Lock(), threading.Lock()
        self._file = _File(int(now() // HOUR))
        self._full: list[_File] = []  # of hours before, with lines that wait

    def add(self, answered: Answered) -> str:
        """Keep a list for `write`; its id."""
        line = answered.line()
        with self._guard:
            hour = int(answered.at // HOUR)
            if hour != self._file.hour:
                self._full.append(self._file)
                self._file = _File(hour)
            found = f"{hour:06x}{self._file.tag}{self._file.end:010x}"
            self._file.end += len(line)
            self._file.waiting.append(line)
            return found

    def write(self) -> None:
        """Append what waits.

        Raises
        ------
        OSError
            The disk fails. What waited is lost, and what comes next goes to another file.
        """
        with self._writing:
            with self._guard:
                files = [file for file in (*self._full, self._file) if file.waiting]
                taken = [(file, b"".join(file.waiting)) for file in files]
                for file in files:
                    file.waiting = []
                self._full = []
            try:
                for file, lines in taken:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    with (self.folder / file.name).open("ab" if file.written else "xb") as target:
                        target.write(lines)
                    file.written += len(lines)
            except OSError:
                with self._guard:
                    self._file = _File(self._file.hour)  # offsets in the one before are not true any more
                raise


def find(folder: Path, recommendation_id: str) -> Answered | None:
    """The list of an id, None if it is not one of ours, or not kept."""
    parts = ID.fullmatch(recommendation_id)
    if parts is None:
        return None
    offset = int(parts[3], 16)
    try:
        with (folder / f"{parts[1]}-{parts[2]}.jsonl").open("rb") as file:
            file.seek(max(0, offset - 1))
            if offset and file.read(1) != b"\n":
                return None
            return _of_line(file.readline())
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Lines:
    """Whole lines that were read on from an offset in a file, and where to go on."""

    name: str
    start: int
    lines: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.lines)

    def lists(self) -> Iterator[Answered]:
        """Each, but for those that are damaged."""
        found = map(_of_line, self.lines.splitlines())
        return (answered for answered in found if answered is not None)


def follow(folder: Path, ends: dict[str, int], most: int) -> Iterator[Lines]:
    """Read on in all files, some `most` bytes in all, a portion at a time.

    Parameters
    ----------
    folder
        Need not exist.
    ends
        How far each file was read, by name.
    """
    for name in _names(folder):
        path, start = folder / name, ends.get(name, 0)
        try:
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(max(most, 0))
                content += file.readline() if content and not content.endswith(b"\n") else b""
        except FileNotFoundError:  # deleted meanwhile
            continue
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            continue
        most -= len(whole)
        first = 0
        while first < len(whole):
            end = whole.find(b"\n", first + PORTION) + 1 or len(whole)
            yield Lines(name, start + first, whole[first:end])
            first = end


def _of_line(line: bytes) -> Answered | None:
    try:
        return Answered.model_validate_json(line)
    except ValidationError:  # cut off by a kill or a full disk
        return None


def prune(folder: Path, before: float) -> set[str]:
    """Delete files whose lists were all answered before a moment; names of those that are kept."""
    kept = set()
    for name in _names(folder):
        if (int(name[:6], 16) + 1) * HOUR <= before:
            (folder / name).unlink(missing_ok=True)
        else:
            kept.add(name)
    return kept


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))
