"""Which files a query has taken in: read from the log of its source, which Spark keeps in the checkpoint.

Spark writes a file for each micro-batch, and every tenth one, with `.compact` in its name, holds all before it.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from app.stream.epoch import newest_number

COMPACT = ".compact"
BLOCK = 65_536  #: bytes read at once from the end of a log


@dataclass(frozen=True)
class Entry:
    """A file that was taken in; `modified` in milliseconds since 1970, `number` in the log of its source."""

    uri: str
    modified: int
    source: int
    number: int


def consumed_files(checkpoint: Path, last: int | None = None) -> set[str]:
    """URIs of the files taken in up to a micro-batch, by default the last one committed."""
    return {entry.uri for entry in _entries(checkpoint, last, {})}


def taken_in(checkpoint: Path) -> dict[str, int]:
    """Names of the files taken in by committed micro-batches, and when they were modified, in ms since 1970."""
    return _modified(_entries(checkpoint, None, {}))


def listed_files(checkpoint: Path, batch: int) -> set[str]:
    """URIs of the files that a micro-batch was planned to read."""
    before = dict(enumerate(reached(checkpoint, batch - 1))) if batch > 0 else {}
    return {entry.uri for entry in _entries(checkpoint, batch, before)}


def path_of(uri: str) -> Path:
    """The path of a file on this machine."""
    return Path(unquote(urlsplit(uri).path))


class NewlyConsumed:
    """Files taken in by committed micro-batches, each told of once.

    Parameters
    ----------
    checkpoint
        Of the query.
    """

    def __init__(self, checkpoint: Path):
        self._checkpoint = checkpoint
        self._told: dict[int, int] = {}

    def next(self) -> dict[str, int]:
        """Names of those since the last call, the first time of all, and when they were modified, in ms since 1970."""
        found = [*_entries(self._checkpoint, None, self._told)]
        for entry in found:
            self._told[entry.source] = max(self._told.get(entry.source, -1), entry.number)
        return _modified(found)


def _modified(entries: Iterable[Entry]) -> dict[str, int]:
    return {path_of(entry.uri).name: entry.modified for entry in entries}


def _entries(checkpoint: Path, last: int | None, told: dict[int, int]) -> Iterator[Entry]:
    """What was taken in up to a micro-batch, and after `told` of each source."""
    last = newest_number(checkpoint / "commits") if last is None else last
    if last < 0:
        return
    for source, offset in enumerate(reached(checkpoint, last)):
        after = told.get(source, -1)
        for path in _logs(checkpoint / "sources" / str(source), after):
            try:
                for entry in _backwards(path):
                    if entry["batchId"] <= after:
                        break  # and all before it in the file
                    if entry["batchId"] <= offset:
                        yield Entry(entry["path"], entry["timestamp"], source, entry["batchId"])
            except FileNotFoundError:  # Spark has just deleted it: what it said is in a newer, compacted one
                continue


def reached(checkpoint: Path, batch: int) -> list[int]:
    """The number of the log, of each source, up to which a micro-batch goes; -1 where it had nothing yet."""
    lines = (checkpoint / "offsets" / str(batch)).read_text().splitlines()[2:]  # the version, the time and watermark
    return [json.loads(line)["logOffset"] if line.startswith("{") else -1 for line in lines]


def _logs(folder: Path, after: int) -> list[Path]:
    """The files of a log that say something of numbers after one."""
    names = [path for path in folder.glob("[0-9]*") if path.name.removesuffix(COMPACT).isdigit()]
    return [path for path in names if int(path.name.removesuffix(COMPACT)) > after]


def _backwards(path: Path) -> Iterator[dict[str, Any]]:
    """Entries of a log, the last first: a compacted log holds all there ever were, and the last are asked for."""
    with path.open("rb") as file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position > 0:
            size = min(BLOCK, position)
            position = file.seek(position - size)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from (json.loads(line) for line in reversed(lines) if line.startswith(b"{"))
