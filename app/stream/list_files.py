"""Lists as files: one part for each micro-batch and partition, each replaced whole."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from app.core.files import replacing


def write_part(lists: pa.Table, parquet: Path, csv: Path, batch: int, partition: int) -> None:
    """Write a partition's lists as Parquet and CSV; writing them again replaces them.

    Parameters
    ----------
    lists
        Rows of `app.serve.lists.ARROW_SCHEMA`.
    parquet, csv
        Folders.
    batch, partition
        Name the files.
    """
    name = _name(batch, partition)
    with replacing(parquet / f"{name}.parquet") as path:
        pq.write_table(lists, path, compression="zstd")
    with replacing(csv / f"{name}.csv") as path:
        pacsv.write_csv(lists, path)


def _name(batch: int, partition: int) -> str:
    return f"batch-{batch:09d}-{partition:03d}"


def prune(folder: Path, last_batch: int, keep: int, partitions: int, suffix: str) -> None:
    """Delete the parts of the one batch that is now too old."""
    for partition in range(partitions):
        (folder / f"{_name(last_batch - keep, partition)}{suffix}").unlink(missing_ok=True)


def read_lists(folder: Path) -> pa.Table:
    """All lists that are kept, with `batch` (int64), the micro-batch that wrote them."""
    tables = [
        pq.read_table(path).append_column("batch", pa.array([number] * pq.read_metadata(path).num_rows, pa.int64()))
        for number, path in _parts(folder)
    ]
    return pa.concat_tables(tables) if tables else pa.table({})


def latest_lists(folder: Path) -> pa.Table:
    """The last list of each user."""
    table = read_lists(folder)
    if len(table) == 0:
        return table
    last = table.group_by("user_id").aggregate([("batch", "max")])
    return table.join(last, keys=["user_id", "batch"], right_keys=["user_id", "batch_max"], join_type="inner")


def _parts(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted(folder.glob("batch-*.parquet")):
        yield int(path.name.split("-")[1]), path
