"""Small folders of the archive put together, and old ones deleted.

Folders are put together by fixed ranges of micro-batches, `STEP` times larger from one level to the next, so
that ranges of any two streams either hold one another or have nothing in common. What was put together is
deleted at once: a training that is just reading it must hold its lease, so that this is left for later.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq

from app.core.errors import VitrineError
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs
from app.stream.archive import Archive, place, read_points, write_points
from app.stream.rows_file import RowsFile

STEP = 64
LEVELS = (STEP, STEP**2, STEP**3)  #: micro-batches in a range
FEWEST = 2  #: folders that are worth being put together
OLD_ENOUGH = 3_600.0  #: seconds: folders are put together when no one looks at single ones any more


def due(folders: list[BatchRange]) -> tuple[BatchRange, list[BatchRange]] | None:
    """The first range whose folders can be put together, and these; None if there is none.

    Parameters
    ----------
    folders
        Those that count and are old enough, in order; the last one's range is not complete yet.
    """
    newest = folders[-1].last if folders else -1
    for size in LEVELS:
        ranges: dict[int, list[BatchRange]] = {}
        for part in folders:
            if part.first >= 0 and part.first // size == part.last // size:
                ranges.setdefault(part.first // size, []).append(part)
        for number, parts in ranges.items():
            last = (number + 1) * size - 1
            if len(parts) >= FEWEST and last <= newest:
                return BatchRange(number * size, last, max(part.epoch for part in parts)), parts
    return None


def put_together(archive: Archive, target: BatchRange, parts: list[BatchRange]) -> None:
    """Write the folders `parts` as one, and delete them.

    Raises
    ------
    VitrineError
        A folder does not hold what it must; nothing is written.
    """
    manifests = [archive.manifest(part) for part in parts]
    staging = archive.stage(target)
    rows = _write([path for part in parts for path in archive.files(part)], staging / "part-00000.parquet")
    must = sum(manifest.rows for manifest in manifests)
    if rows != must:
        shutil.rmtree(staging)
        raise VitrineError(f"archive {archive.folder}: {target.name} must hold {must} rows, its folders hold {rows}")
    write_points(staging, (line for part in parts for line in read_points(archive.folder / part.name)))
    windows = sorted({start for manifest in manifests for start in manifest.windows})
    written = max(manifest.written for manifest in manifests)
    write_manifest(staging, Manifest(rows=rows, windows=windows, written=written))
    place(staging, archive.folder / target.name)
    for part in parts:
        shutil.rmtree(archive.folder / part.name, ignore_errors=True)


def _write(files: list[Path], target: Path) -> int:
    with ExitStack() as open_files:
        table = RowsFile(target, open_files)
        for name in files:
            with pq.ParquetFile(name) as file:
                for batch in file.iter_batches():
                    table.add(batch)
        table.close()
    return table.rows


def delete_uncounted(archive: Archive, epochs: Epochs) -> None:
    """Delete folders that don't count: of a stream that was replaced, or left when putting together was cut short."""
    counting = set(archive.folders(epochs))
    for path in archive.folder.iterdir():
        part = BatchRange.parse(path.name)
        if part is not None and part not in counting:
            shutil.rmtree(path, ignore_errors=True)


def delete_old(archive: Archive, epochs: Epochs, before: float) -> int:
    """Delete what was archived before a moment (seconds since 1970); returns the first micro-batch that stays."""
    oldest = 0
    for part in archive.folders(epochs):
        if archive.written(part) >= before:  # and all that follow
            oldest = part.first
            break
        shutil.rmtree(archive.folder / part.name, ignore_errors=True)
        oldest = part.last + 1
    for path in archive.rejected.iterdir():
        rejected = BatchRange.parse(path.name)
        if rejected is not None and rejected.last < oldest:
            shutil.rmtree(path, ignore_errors=True)
    return oldest
