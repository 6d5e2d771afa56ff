"""Lists as files: one part for each micro-batch, epoch and partition, each replaced whole."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.files import replacing
from app.events.archive_names import Epochs
from app.serve.lists import csv_rows
from app.stream.taken_out import noting

PART = re.compile(r"batch-(\d+)-e(\d+)-(\d+)\.(?:parquet|csv)$")
FIRST_EDITION = re.compile(r"batch-(\d+)-(\d+)\.(?:parquet|csv)$")  #: which knew no epochs


def write_part(lists: pa.Table, parquet: Path, csv: Path, batch: int, epoch: int, partition: int) -> None:
    """Write a partition's lists as Parquet and CSV; writing them again replaces them.

    Parameters
    ----------
    lists
        Rows of `app.serve.lists.ARROW_SCHEMA`.
    parquet, csv
        Folders.
    batch, epoch, partition
        Name the files.
    """
    name = f"batch-{batch:09d}-e{epoch:06d}-{partition:03d}"
    write_table(lists, parquet / f"{name}.parquet", csv / f"{name}.csv")


def rewrite(kept: pa.Table, taken_out: int, parquet: Path, csv: Path) -> None:
    """Write a part again of which so many rows more were taken out."""
    write_table(noting(kept, taken_out), parquet, csv)


def write_table(lists: pa.Table, parquet: Path, csv: Path) -> None:
    """Write lists as the two files of a part, each replaced whole."""
    with replacing(parquet) as path:
        pq.write_table(lists, path, compression="zstd")
    write_csv(lists, csv)


def write_csv(lists: pa.Table, csv: Path) -> None:
    """Write lists as the CSV of a part."""
    with replacing(csv) as path:
        path.write_bytes(csv_rows(lists, head=True))


def csv_of(name: str) -> str:
    """The name of a part's CSV, by that of its Parquet."""
    return f"{name.removesuffix('.parquet')}.csv"


def prune(folder: Path, before: int) -> None:
    """Delete the parts of micro-batches that are now too old."""
    for number, _, name in parts(folder):
        if number < before:
            (folder / name).unlink(missing_ok=True)


def drop_uncounted(folder: Path, epochs: Epochs) -> None:
    """Delete what a stream wrote after another had replaced it."""
    for number, epoch, name in parts(folder):
        if epoch < epochs.owner(number):
            (folder / name).unlink(missing_ok=True)


def oldest_part(folder: Path) -> int | None:
    """The lowest micro-batch that has parts."""
    return min((number for number, _, _ in parts(folder)), default=None)


def parts(folder: Path) -> Iterator[tuple[int, int, str]]:
    """Micro-batch, epoch and name of each part."""
    for name in os.listdir(folder):
        if part := PART.match(name):
            yield int(part[1]), int(part[2]), name
        elif old := FIRST_EDITION.match(name):
            yield int(old[1]), 0, name
