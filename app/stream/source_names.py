"""Names of files that were taken in and are gone: forgotten by and by.

Spark keeps the name of every file it has ever read: in the driver's memory, and in the log of its source, all of which
it writes anew at every tenth micro-batch with files. A name matters only while its file can be listed again. The log
is shortened while no query runs, by putting its newest `.compact` file in place anew; links that another epoch's
checkpoint has to the old one are not touched.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.files import write_text
from app.stream.epoch import newest_number
from app.stream.folders import POSTED
from app.stream.source_log import COMPACT, path_of, reached

KEPT = 5_000  #: names that stay known though their files are gone: what is sent again soon is not taken twice
MOST = 2 * KEPT  #: names of files that are gone, at which the log is shortened
#: So many of posted events stay known beside: the API may deliver its newest file once more, under the same name,
#: however long it was down.
POSTED_KEPT = 1_000


@dataclass(frozen=True)
class SourceNames:
    """What a query's source remembers.

    Parameters
    ----------
    checkpoint
        Of the query.
    landing
        The landing folder, whose files are deleted once they are taken in.
    """

    checkpoint: Path
    landing: Path

    def too_many(self) -> bool:
        """Whether so many names of files that are gone are kept that the log should be shortened."""
        there = len(os.listdir(self.landing))
        folders = (self.checkpoint / "sources").glob("[0-9]*")
        return any(_lines(log) - there > MOST for folder in folders if (log := _newest(folder)))

    def forget(self) -> int:
        """Shorten the log; no query may run meanwhile. Killed at any line, it leaves one that is whole.

        Returns
        -------
        int
            How many names were forgotten: of files that were committed and are gone, and none of the latest.
        """
        last = newest_number(self.checkpoint / "commits")
        offsets = reached(self.checkpoint, last) if last >= 0 else []
        there, forgotten = set(os.listdir(self.landing)), 0
        for source, offset in enumerate(offsets):
            log = _newest(self.checkpoint / "sources" / str(source))
            if log is not None:
                forgotten += _rewrite(log, offset, there)
        return forgotten


def _newest(folder: Path) -> Path | None:
    """The newest compacted file of a log, which says all there was before."""
    return max(folder.glob(f"[0-9]*{COMPACT}"), key=_number, default=None)


def _number(path: Path) -> int:
    return int(path.name.removesuffix(COMPACT))


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:  # Spark has just put a newer one in its place
        return 0


def _rewrite(path: Path, committed: int, there: set[str]) -> int:
    version, *entries = path.read_text().split("\n")
    cut = max(len(entries) - KEPT, 0)
    old, recent = entries[:cut], entries[cut:]
    posted = {*[number for number, line in enumerate(old) if f"/{POSTED}" in line][-POSTED_KEPT:]}
    kept = [line for number, line in enumerate(old) if number in posted or _matters(json.loads(line), committed, there)]
    if len(kept) == len(old):
        return 0
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)  # of the old content; without one Spark asks for none
    write_text(path, "\n".join([version, *kept, *recent]))
    return len(old) - len(kept)


def _matters(entry: dict[str, Any], committed: int, there: set[str]) -> bool:
    return bool(entry["batchId"] > committed or path_of(entry["path"]).name in there)
