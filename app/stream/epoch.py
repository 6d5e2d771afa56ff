"""The time of one stream over an output: from its start to the start of the next.

Each epoch has a checkpoint of its own, which begins as a copy of the one before. So a stream that was paused,
and that another has replaced, goes on into a checkpoint that nobody will look at again.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import InputError, VitrineError
from app.core.files import link, sync
from app.events.archive_names import BatchRange, Epochs, mark_name
from app.stream.folders import StreamFolders
from app.stream.list_files import drop_uncounted
from app.stream.window_files import drop_lower_windows, take_over_windows

QUERY = "lists"  #: the stream's one query, as Spark, its checkpoint and the metrics name it
#: In this order a copy is whole, even of a checkpoint that is being written to: what is committed refers to
#: offsets, those to sources, and all of it to a state that was there before.
COPIED = ("commits", "offsets", "sources", "state")
QUERY_OF_ARCHIVE = "archive"  #: that of the first edition, beside it
PINS = "bundles"
NAME = re.compile(r"e(\d+)$")


@dataclass(frozen=True)
class Epoch:
    """`number` from 1; `first` is its first micro-batch; `folder` is its own."""

    number: int
    first: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / QUERY

    @property
    def pins(self) -> Path:
        """Which bundle each micro-batch used."""
        return self.folder / PINS


def marked(folders: StreamFolders) -> Epochs:
    """The epochs that have begun."""
    return Epochs.parse(os.listdir(folders.epochs) if folders.epochs.is_dir() else [])


def current(folders: StreamFolders) -> Epoch | None:
    """The latest epoch that has begun; None before the first stream."""
    starts = marked(folders).starts
    return Epoch(*starts[-1], _folder(folders, starts[-1][0])) if starts else None


def begin(
    folders: StreamFolders,
    lease: int,
    check: Callable[[], Any] = lambda: None,
    fill: Callable[[Path], None] = lambda folder: None,
) -> Epoch:
    """Begin an epoch, whose lease is held: go on where the one before was.

    It may be paused at any line here, and be replaced meanwhile. So it deletes only what lower epochs left, and its
    mark does not stay unless it still holds the lease once that is there.

    Parameters
    ----------
    folders
        Of the stream, prepared.
    lease
        Its number, which becomes the epoch's.
    check
        Raises if the lease is lost.
    fill
        Fills the folder of the first epoch.

    Raises
    ------
    InputError
        The checkpoint of the epoch before is gone, or the archive is that says so.
    VitrineError
        From `check`.
    """
    before = current(folders)
    latest = before.number if before is not None else 0
    number = max(lease, latest + 1)  # the lease's files may have been deleted
    made = _folder(folders, number)
    check()
    if before is None:
        check_marks(folders)
    shutil.rmtree(made, ignore_errors=True)
    (made / PINS).mkdir(parents=True)
    if before is None:
        fill(made)
    elif not before.pins.is_dir():  # of a folder that is lost under it Spark makes its own part anew
        raise InputError(
            f"checkpoint {before.folder}: is gone, and without it the numbers of micro-batches would begin anew over "
            f"those of the archive; bring it back, or move {folders.root} away and start again: the files in "
            f"{folders.landing} are read anew, and the archive in the folder moved stays good for training"
        )
    else:
        _copy(before.folder, made, without=QUERY)
        copy_checkpoint(before.checkpoint, made / QUERY)
    epoch = Epoch(number, newest_number(made / QUERY / "commits") + 1, made)
    take_over_windows(folders.windows, latest, number, epoch.first)
    _mark(folders.epochs / mark_name(number, epoch.first), check)
    _drop_lower(folders, number)
    return epoch


def is_of_first_edition(folders: StreamFolders) -> bool:
    """Whether a stream of the first edition, which knew no marks, was here last."""
    return any((folders.checkpoints / name).is_dir() for name in (QUERY, QUERY_OF_ARCHIVE))


def check_marks(folders: StreamFolders) -> None:
    """See that the archive is there if a stream was: its marks are lost with it, and a checkpoint would be deleted.

    Raises
    ------
    InputError
        It is gone. Before folders are made nothing stands where it is to be brought back to.
    """
    if marked(folders).starts or is_of_first_edition(folders):
        return
    there = [path for path in folders.checkpoints.glob("*") if NAME.match(path.name)]
    begun = [path.name for path in there if newest_number(path / QUERY / "offsets") >= 0]
    if begun:
        mark = folders.epochs / mark_name(max(int(name[1:]) for name in begun), 0)
        raise InputError(
            f"archive {folders.archive}: is gone, or its folder {folders.epochs.name} is; bring it back, and the "
            f"stream goes on where it was. To go on without what it held, make the folder {mark.parent} and an empty "
            f"file {mark.name} in it. To begin anew, move {folders.root} away: the files in {folders.landing} are read "
            "anew"
        )


def _mark(path: Path, check: Callable[[], Any]) -> None:
    check()
    path.touch(exist_ok=False)
    sync(path.parent)
    try:
        check()
    except VitrineError:  # paused just before: the successor may have begun without knowing of this mark
        path.unlink()
        raise


def _drop_lower(folders: StreamFolders, number: int) -> None:
    """Delete what epochs before this one left unfinished or have handed on."""
    drop_uncounted_lists(folders)
    drop_lower_windows(folders.windows, number)
    for old in folders.checkpoints.iterdir():
        found = NAME.match(old.name)
        if found is None or int(found[1]) < number:  # the first edition's have other names
            shutil.rmtree(old, ignore_errors=True)
    for folder in (folders.archive, folders.rejected):
        for staged in folder.glob(".batch*"):
            part = BatchRange.parse(staged.name[1:].rpartition(".")[0])
            if part is None or part.epoch < number:
                shutil.rmtree(staged, ignore_errors=True)


def drop_uncounted_lists(folders: StreamFolders) -> None:
    """Delete lists of micro-batches that another epoch owns: who reads the folder without its marks sees them too."""
    epochs = marked(folders)
    for folder in (folders.lists, folders.csv):
        drop_uncounted(folder, epochs)


def drop_marks(folders: StreamFolders, oldest: int) -> None:
    """Delete marks that say nothing of the micro-batches from `oldest` on: of epochs that later ones own all of."""
    starts = marked(folders).starts
    for place, (number, first) in enumerate(starts):
        if any(later <= max(first, oldest) for _, later in starts[place + 1 :]):
            (folders.epochs / mark_name(number, first)).unlink(missing_ok=True)


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy a checkpoint of Spark's, by links where the file system has them: its files never change."""
    target.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        _copy(source / name, target / name)
    _copy(source, target)


def newest_number(folder: Path) -> int:
    """The largest number that is the name of a file; -1 without one."""
    names = os.listdir(folder) if folder.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=-1)


def batch_time(checkpoint: Path, batch: int) -> int:
    """When a micro-batch was begun for the first time, microseconds since 1970: the same at every try."""
    times = json.loads((checkpoint / "offsets" / str(batch)).read_text().splitlines()[1])
    return int(times["batchTimestampMs"]) * 1_000


def _folder(folders: StreamFolders, number: int) -> Path:
    return folders.checkpoints / f"e{number:06d}"


def _copy(source: Path, target: Path, without: str | None = None) -> None:
    """What is in a folder and not yet in the target; what vanishes meanwhile is left out."""
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name != without]
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not name.endswith(".tmp"):
                link(Path(folder, name), there / name)
