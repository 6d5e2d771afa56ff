"""Going on from a stream of the first edition, whose lists, windows and archive were three queries.

Each had taken in what it could by the time it stopped. The one query of now goes on from the checkpoint of
lists. What that had taken in and the archive had not is archived here; what the archive had and the lists had
not is remembered, so that it is not archived twice. Windows need nothing: they are counted from the archive.
"""

import json
import shutil
import time
from pathlib import Path

from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.files import write_text
from app.core.settings import Settings
from app.events.archive_manifest import MANIFEST, write_manifest
from app.events.archive_names import FIRST_EDITION_OFFSET, BatchRange, Epochs
from app.stream.archive import Archive, describe
from app.stream.epoch import PINS, QUERY, QUERY_OF_ARCHIVE, copy_checkpoint, newest_number
from app.stream.folders import StreamFolders
from app.stream.intake import set_job_properties, take_in
from app.stream.source import event_files
from app.stream.source_log import consumed_files, path_of

KNOWN = "archived-before.json"  #: in an epoch's folder: files that are in the archive already


def take_over(spark: SparkSession, settings: Settings, folders: StreamFolders, target: Path) -> None:
    """Make an epoch's folder of what the first edition left; done again, it does the same.

    Parameters
    ----------
    spark, settings, folders
        Of the stream.
    target
        Folder of the epoch that begins.

    Raises
    ------
    InputError
        A file that was not archived has been deleted from the landing folder.
    """
    lists, archive = folders.checkpoints / QUERY, folders.checkpoints / QUERY_OF_ARCHIVE
    archived = consumed_files(archive) | _archived_by_the_way(folders, archive)
    listed = consumed_files(lists)
    if listed - archived:
        _archive(spark, settings, folders, sorted(listed - archived))
    for folder in folders.archive.glob("batch-?????????"):
        if not (folder / MANIFEST).exists():
            written = folder.stat().st_mtime  # its age counts from when it came
            write_manifest(folder, describe(folder, settings.window_minutes, written))
    copy_checkpoint(lists, target / QUERY)
    if (folders.root / "batches").is_dir():
        shutil.copytree(folders.root / "batches", target / PINS, dirs_exist_ok=True)
    write_text(target / KNOWN, json.dumps(sorted(archived - listed)))


def known_files(epoch: Path) -> frozenset[str]:
    """URIs of the files that the first edition had archived and not listed."""
    try:
        return frozenset(json.loads((epoch / KNOWN).read_text()))
    except FileNotFoundError:
        return frozenset()


def _archived_by_the_way(folders: StreamFolders, checkpoint: Path) -> set[str]:
    """Files of a micro-batch whose folder is there, and which was not committed."""
    planned = newest_number(checkpoint / "offsets")
    if planned == newest_number(checkpoint / "commits") or not (folders.archive / f"batch-{planned:09d}").exists():
        return set()
    return consumed_files(checkpoint, planned)


def _archive(spark: SparkSession, settings: Settings, folders: StreamFolders, files: list[str]) -> None:
    paths = [path_of(name) for name in files]
    gone = [path for path in paths if not path.exists()]
    if gone:
        raise InputError(
            f"stream {folders.root}: was written by the previous version, and {gone[0]}, not yet archived, is missing; "
            "run the previous version until it has archived everything, then this one"
        )
    store = Archive.of(folders)
    before = store.folders(Epochs(()))
    number = before[-1].last + 1 if before else -FIRST_EDITION_OFFSET
    part = BatchRange(number, number, 0)
    staging = store.stage(part)
    set_job_properties(spark.sparkContext, staging, 0)
    take_in(event_files(spark, settings, paths), settings.window_minutes).count()
    store.commit(staging, part, time.time())
