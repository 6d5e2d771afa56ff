"""Small folders of rejected rows put together, as far as those of the archive are."""

import os
from collections.abc import Callable, Iterator
from errno import ENOENT
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.files import replacing
from app.events.archive_names import BatchRange, Epochs
from app.stream.archive import Archive, damage_told, parquet_files
from app.stream.compaction import FEWEST, STEP, holder
from app.stream.taken_out import TAKEN_OUT, noting

LARGEST = STEP**2  #: micro-batches in a folder: a file is held in memory when forgotten users are taken out of it


def rejected_due(archive: Archive, epochs: Epochs) -> Iterator[tuple[BatchRange, list[BatchRange]]]:
    """Ranges whose folders of rejected rows can be put together, and these.

    A range is, or is part of, one that the archive has as one folder: it is committed, and is deleted with that.
    """
    whole = [part for part in archive.folders(epochs) if part.first < part.last]
    found: dict[BatchRange, list[BatchRange]] = {}
    for part in archive.rejected_folders(epochs):
        there = holder(whole, part)
        if there is not None:
            size = min(there.last - there.first + 1, LARGEST)
            first = part.first // size * size
            found.setdefault(BatchRange(first, first + size - 1, there.epoch), []).append(part)
    return ((target, parts) for target, parts in found.items() if len(parts) >= FEWEST)


def put_rejected_together(
    archive: Archive, target: BatchRange, parts: list[BatchRange], check: Callable[[], Any]
) -> None:
    """Write the folders `parts` as one, in whose favour they count no more.

    Parameters
    ----------
    archive, target, parts
        Where, and from `rejected_due`.
    check
        Called just before the new folder takes its place; raises if this stream was replaced.

    Raises
    ------
    VitrineError
        A file is damaged; nothing is written.
    """
    with archive.filled(target, archive.rejected, check) as staging:
        _fill(staging, [archive.rejected / part.name for part in parts])


def _fill(staging: Path, folders: list[Path]) -> None:
    tables = [*map(_read, (path for folder in folders for path in _files(folder)))]
    taken_out = sum(int((table.schema.metadata or {}).get(TAKEN_OUT, 0)) for table in tables)
    rows = pa.concat_tables([table.replace_schema_metadata(None) for table in tables], promote_options="default")
    path = staging / "part-00000.parquet"
    with replacing(path) as part:
        pq.write_table(noting(rows, taken_out), part, compression="zstd")
    came = [file.stat().st_mtime_ns for folder in folders for file in _files(folder)]
    os.utime(path, ns=(min(came),) * 2)  # whoever was forgotten since the first came is looked for in it
    os.utime(staging, ns=(max(folder.stat().st_mtime_ns for folder in folders),) * 2)  # and it is as old as the last


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(ENOENT, "is gone", str(folder))
    return parquet_files(folder)


def _read(path: Path) -> pa.Table:
    with damage_told(path):
        return pq.read_table(path)
