"""Small folders of the archive put together, and old ones deleted.

Folders are put together by fixed ranges of micro-batches, each level's a multiple of the one below, so that ranges
of any two streams either hold one another or have nothing in common. What was put together counts no more, and
stays for some hours all the same: a training that listed the archive before may just be reading it.
"""

import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.core.errors import VitrineError, is_away
from app.core.files import replacing
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs
from app.events.forgotten import NOBODY, Forgotten
from app.stream.archive import Archive, damage_told, read_points, stored_rows, write_points
from app.stream.forgetting import of_forgotten
from app.stream.rows_file import RowsFile

STEP = 64
LEVELS = (STEP, STEP**2, STEP**2 * 16)  #: micro-batches in a range; the largest are hours of a busy shop
FEWEST = 2  #: folders that are worth being put together
LONGEST = 86_400.0  #: seconds in one folder, or days of the archive and of a training would be no such days
UNCOUNTED_KEPT = 5 * 3_600.0  #: seconds: longer than a training may take


def due(
    folders: list[BatchRange],
    epochs: Epochs,
    committed: int,
    seconds: Callable[[list[BatchRange]], float] = lambda parts: 0.0,
) -> Iterator[tuple[BatchRange, list[BatchRange]]]:
    """Ranges whose folders can be put together, and these.

    A range ends before the next epoch can begin: at what is both archived and committed. The one folder is of the
    epoch that owns the range's end, which need not have left a folder in it.

    Parameters
    ----------
    folders
        Those that count and are old enough, in order; the last one's range is not complete yet.
    epochs
        That have begun.
    committed
        The last micro-batch that will not be done again.
    seconds
        How much time the micro-batches of some folders have taken.
    """
    newest = min(folders[-1].last, committed) if folders else -1
    for size in LEVELS:
        ranges: dict[int, list[BatchRange]] = {}
        for part in folders:
            if part.first >= 0 and part.first // size == part.last // size:
                ranges.setdefault(part.first // size, []).append(part)
        for number, parts in ranges.items():
            last = (number + 1) * size - 1
            if len(parts) >= FEWEST and last <= newest and seconds(parts) <= LONGEST:
                epoch = max(epochs.owner(last), *(part.epoch for part in parts))
                yield BatchRange(number * size, last, epoch), parts


def put_together(
    archive: Archive,
    target: BatchRange,
    parts: list[BatchRange],
    check: Callable[[], Any],
    forgotten: Forgotten = NOBODY,
) -> None:
    """Write the folders `parts` as one, in whose favour they count no more.

    Parameters
    ----------
    archive, target, parts
        Where, and from `due`.
    check
        Called just before the new folder takes its place; raises if this stream was replaced.
    forgotten
        Whose earlier rows are left out.

    Raises
    ------
    VitrineError
        A folder does not hold what it must, or a file is damaged; nothing is written.
    """
    # Nothing of it stays if it fails, nor if a folder is gone: rows of whoever is forgotten later would stay with it.
    with archive.filled(target, archive.folder, check) as staging:
        _fill(archive, staging, target, parts, forgotten)


def _fill(archive: Archive, staging: Path, target: BatchRange, parts: list[BatchRange], forgotten: Forgotten) -> None:
    manifests = [archive.manifest(part) for part in parts]
    files = [path for part in parts for path in archive.files(part)]
    read, rows = _write(files, staging / "part-00000.parquet", forgotten)
    must = sum(manifest.rows for manifest in manifests)
    if read != must:
        raise VitrineError(f"archive {archive.folder}: {target.name} must hold {must} rows, its folders hold {read}")
    write_points(staging, (line for part in parts for line in read_points(archive.folder / part.name)))
    windows = sorted({start for manifest in manifests for start in manifest.windows})
    written = max(manifest.written for manifest in manifests)
    begun = min(manifest.oldest for manifest in manifests)
    cut = read - rows + sum(manifest.cut for manifest in manifests)
    write_manifest(staging, Manifest(rows=rows, windows=windows, written=written, begun=begun, cut=cut))


def _write(files: list[Path], target: Path, forgotten: Forgotten) -> tuple[int, int]:
    """Rows that were read, and those of them that were written."""
    read, schema = 0, None
    with ExitStack() as open_files:
        table = RowsFile(target, open_files)
        for name in files:
            with damage_told(name), pq.ParquetFile(name) as file:
                schema = file.schema_arrow
                for batch in file.iter_batches():
                    read += len(batch)
                    table.add(batch.filter(pc.invert(of_forgotten(batch, forgotten))) if forgotten else batch)
        table.close()
    if table.rows == 0 and schema is not None:  # a folder without files counts for no reader, and its parts would
        with replacing(target) as path:
            pq.write_table(schema.empty_table(), path)
    return read, table.rows


def delete_uncounted(archive: Archive, epochs: Epochs, before: float) -> None:
    """Delete folders that don't count: of a stream that was replaced, or put together since.

    Parameters
    ----------
    archive, epochs
        Of the stream.
    before
        Seconds since 1970: what was put together later, or came later itself, stays for now.
    """
    counting = archive.folders(epochs)
    for holder, parts in _uncounted(archive, counting).items():
        if holder is None:
            _delete(archive, [part for part in parts if archive.made(part) < before])
        elif archive.made(holder) < before and _is_whole(archive, holder):
            _delete(archive, parts)
    rejected = {part for path in archive.rejected.iterdir() if (part := _part(path))}
    for part in rejected.difference(archive.rejected_folders(epochs)):
        shutil.rmtree(archive.rejected / part.name, ignore_errors=True)


def delete_old(archive: Archive, epochs: Epochs, before: float, counted: int, close: Callable[[int], object]) -> None:
    """Delete what was archived before a moment.

    Parameters
    ----------
    archive, epochs
        Of the stream.
    before
        Seconds since 1970.
    counted
        The last micro-batch whose events are in window counts: later ones stay until they are.
    close
        Gets the first micro-batch that stays, before anything is deleted: killed amid, nothing is missed.
    """
    folders = archive.folders(epochs)
    uncounted = _uncounted(archive, folders)
    old = [*takewhile(lambda part: part.last <= counted and archive.written(part) < before, folders)]
    first = folders[len(old)].first if len(old) < len(folders) else None
    rejected = [
        part
        for part in archive.rejected_folders(epochs)
        if (first is None or part.last < first) and (archive.rejected / part.name).stat().st_mtime < before
    ]
    close(max((part.last + 1 for part in (*old, *rejected)), default=0) if first is None else first)
    for part in old:
        archive.note_deleted(part)
        _delete(archive, [*uncounted.get(part, []), part])  # in this order, or what it holds would count again
    for part in rejected:
        shutil.rmtree(archive.rejected / part.name, ignore_errors=True)


def _uncounted(archive: Archive, counting: list[BatchRange]) -> dict[BatchRange | None, list[BatchRange]]:
    """Folders that don't count, by the one that counts in their place."""
    known, found = set(counting), dict[BatchRange | None, list[BatchRange]]()
    for path in archive.folder.iterdir():
        part = _part(path)
        if part is not None and part not in known:
            found.setdefault(holder(counting, part), []).append(part)
    return found


def holder(folders: list[BatchRange], part: BatchRange) -> BatchRange | None:
    """That of some folders, in order, whose range holds another's."""
    place = bisect_right(folders, part.first, key=lambda other: other.first) - 1
    return folders[place] if place >= 0 and folders[place].holds(part) else None


def _part(path: Path) -> BatchRange | None:
    return BatchRange.parse(path.name)


def _is_whole(archive: Archive, part: BatchRange) -> bool:
    try:
        return stored_rows(archive.folder / part.name) == archive.manifest(part).rows
    except VitrineError:  # its manifest is lost: told by the accounts
        return False
    except OSError as error:
        if not is_away(error):
            raise
        return False


def _delete(archive: Archive, parts: Iterable[BatchRange]) -> None:
    for part in parts:
        shutil.rmtree(archive.folder / part.name, ignore_errors=True)
