"""The archive of a stream: each micro-batch a folder, with a manifest of what it must hold.

`app.events.archive_names` says which folders count; trainings read those.
"""

import gzip
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.core.errors import VitrineError, is_away, is_of_the_system
from app.core.files import replacing, sync, write_text
from app.events.archive_manifest import Manifest, read_manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs
from app.stream.folders import StreamFolders
from app.stream.intake import COUNTS, MINUTE, REJECTED, PartCounts, window_starts
from app.stream.latest import clear

POINTS = "_points.lp.gz"  #: InfluxDB points of the micro-batches in a folder, in line protocol
DELETED = "_deleted-up-to"  #: file with the latest window that deleted folders had events of
NO_WINDOW = -(2**63)


@dataclass(frozen=True)
class Archive:
    """The archive's folder, and beside it the one of rows that can't be events."""

    folder: Path
    rejected: Path

    @classmethod
    def of(cls, folders: StreamFolders) -> "Archive":
        """That of a stream."""
        return cls(folders.archive, folders.rejected)

    def stage(self, part: BatchRange) -> Path:
        """A new hidden folder for a micro-batch's parts; what an earlier try left is deleted."""
        for old in self.folder.glob(f".{part.name}.*"):
            shutil.rmtree(old, ignore_errors=True)
        staging = self.folder / f".{part.name}.{secrets.token_hex(4)}"
        staging.mkdir()
        return staging

    @contextmanager
    def filled(self, part: BatchRange, folder: Path, check: Callable[[], object]) -> Iterator[Path]:
        """A new folder for the block to fill, which takes its place in `folder`; deleted if the block or `check` fails.

        `check` is called just before it takes its place, and raises if this stream was replaced.
        """
        staging = self.stage(part)
        try:
            yield staging
            check()
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        place(staging, folder / part.name)

    def commit(
        self, staging: Path, part: BatchRange, now: float, points: Sequence[str] = (), *, answered: bool = False
    ) -> PartCounts:
        """Move a micro-batch's parts into their place; those of an earlier try give way.

        Parameters
        ----------
        staging
            From `stage`.
        part
            Which micro-batch.
        now
            Seconds since 1970.
        points
            What InfluxDB was told of it.
        answered
            Whether it has led to lists, and so had rows.

        Returns
        -------
        PartCounts
            Of the whole micro-batch.

        Raises
        ------
        VitrineError
            The files don't hold what was written to them.
        """
        counts = PartCounts()
        for path in staging.glob(f"{COUNTS}*.json"):
            counts.add(PartCounts.from_json(path.read_text()))
        if answered and counts.rows == 0:
            raise VitrineError(
                f"archive {staging}: lists were written, and no rows are there; the micro-batch is done again at the "
                "next start"
            )
        stored = stored_rows(staging)
        if stored != counts.archived:
            raise VitrineError(
                f"archive {staging}: {counts.archived} rows were written, {stored} are there; the micro-batch is "
                "done again at the next start"
            )
        place(staging / REJECTED, self.rejected / part.name)
        clear(staging)
        if counts.archived:
            write_manifest(staging, Manifest(rows=counts.archived, windows=counts.windows, written=now))
            write_points(staging, points)
        else:  # nothing to keep: folders without rows would slow every reader
            shutil.rmtree(staging)
        place(staging, self.folder / part.name)
        return counts

    def folders(self, epochs: Epochs) -> list[BatchRange]:
        """Those that count, in order."""
        return _counting(self.folder, epochs)

    def rejected_folders(self, epochs: Epochs) -> list[BatchRange]:
        """Those of rows that can't be events that count, in order."""
        return _counting(self.rejected, epochs)

    def newest(self, epochs: Epochs) -> int:
        """The last micro-batch that is there; -1 without one."""
        return max((part.last for part in self.folders(epochs)), default=-1)

    def rows(self, epochs: Epochs) -> int:
        """Rows of all folders that count."""
        return sum(stored_rows(self.folder / part.name) for part in self.folders(epochs))

    def files(self, part: BatchRange) -> list[Path]:
        """Those of a folder.

        Raises
        ------
        FileNotFoundError
            It is gone.
        """
        folder = self.folder / part.name
        if not folder.is_dir():
            raise FileNotFoundError(ENOENT, "is gone", str(folder))
        return parquet_files(folder)

    def made(self, part: BatchRange) -> float:
        """When a folder was filled, seconds since 1970."""
        return (self.folder / part.name).stat().st_mtime

    def written(self, part: BatchRange) -> float:
        """When a folder came, seconds since 1970."""
        manifest = self._known(part)
        return self.made(part) if manifest is None else manifest.written

    def begun(self, part: BatchRange) -> float:
        """When the first event of a folder was archived, seconds since 1970; 0 where that is not known."""
        manifest = self._known(part)
        return 0.0 if manifest is None else manifest.oldest

    def note_deleted(self, part: BatchRange) -> None:
        """Remember of a folder that will be deleted which windows can't be counted from the archive any more."""
        try:
            latest = max(self.manifest(part).windows, default=NO_WINDOW)
        except VitrineError:  # what it held was lost before: told by the accounts
            return
        except OSError as error:
            if not is_away(error):
                raise
            latest = round(self.made(part) * 1e6)  # nothing that happened later can be in it
        if latest > self.deleted_up_to():
            write_text(self.folder / DELETED, str(latest))

    def deleted_up_to(self) -> int:
        """The latest window that had events in a folder that was deleted, microseconds since 1970."""
        try:
            return int((self.folder / DELETED).read_text())
        except FileNotFoundError:
            return NO_WINDOW

    def windows(self, part: BatchRange, window_minutes: int) -> list[int]:
        """Starts of the windows that a folder's events lie in; from the events, if its manifest is lost.

        Raises
        ------
        OSError
            The system does not give them now.
        """
        try:
            return self.manifest(part).windows
        except VitrineError:  # that it is lost is told by the accounts
            pass
        try:
            self.files(part)  # of a folder that is gone for a moment it would be said that it has none
            return describe(self.folder / part.name, window_minutes, 0).windows
        except VitrineError:  # and so is this
            return []

    def manifest(self, part: BatchRange) -> Manifest:
        """What a folder must hold.

        Raises
        ------
        VitrineError
            It does not say so.
        OSError
            The system does not give it now.
        """
        return read_manifest(self.folder / part.name)

    def _known(self, part: BatchRange) -> Manifest | None:
        """What a folder must hold; None where that is lost, or away."""
        try:
            return self.manifest(part)
        except VitrineError:
            return None
        except OSError as error:
            if not is_away(error):
                raise
            return None


def _counting(folder: Path, epochs: Epochs) -> list[BatchRange]:
    found = (BatchRange.parse(path.name) for path in folder.iterdir())
    return epochs.counting(part for part in found if part)


def write_points(folder: Path, points: Iterable[str]) -> None:
    """Keep points with the events that they tell of."""
    with replacing(folder / POINTS) as path, gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in points)


def read_points(folder: Path) -> Iterator[str]:
    """Lines of line protocol, one by one: a folder that was put together may hold millions; none where none were kept.

    Raises
    ------
    VitrineError
        They are damaged.
    """
    path = folder / POINTS
    with suppress(FileNotFoundError), damage_told(path), gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def describe(folder: Path, window_minutes: int, now: float) -> Manifest:
    """The manifest of a folder that has none, from what is in its files.

    Raises
    ------
    VitrineError
        A file is damaged.
    """
    window, rows, starts = window_minutes * MINUTE, 0, set[int]()
    for path in parquet_files(folder):
        with damage_told(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["event_time"]):
                rows += len(batch)
                starts.update(np.unique(window_starts(batch["event_time"], window)).tolist())
    return Manifest(rows=rows, windows=sorted(starts), written=now)


def parquet_files(folder: Path) -> list[Path]:
    """A folder's files of rows, in order."""
    return sorted(path for path in folder.glob("*.parquet") if path.name[0] not in "._")


def stored_rows(folder: Path) -> int:
    """Rows in the files of a folder, as their footers tell; a damaged file has none."""
    return sum(map(_rows, parquet_files(folder)))


def accounted_rows(folder: Path) -> int:
    """Rows that a folder of the archive was written with: those in its files, and those of the forgotten since cut."""
    rows = stored_rows(folder)
    try:
        return rows + read_manifest(folder).cut
    except VitrineError:  # that it is lost is told by the accounts
        return rows


def _rows(path: Path) -> int:
    try:
        with damage_told(path):
            return int(pq.read_metadata(path).num_rows)
    except VitrineError:
        return 0


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Make one line of what a damaged file raises; what the system says of a file stays as it is."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        if is_of_the_system(error):
            raise
        raise VitrineError(f"archive {path}: is damaged ({str(error).splitlines()[0]})") from None


def place(source: Path, target: Path) -> None:
    """Put a folder, or nothing where there is none, in place of what an earlier try has left."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    if target.exists():
        target.rename(aside)
    if source.exists():
        source.rename(target)
        sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)
