"""What a stream has written into its folder of lists, as tables."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.events.archive_names import Epochs
from app.stream.list_files import parts


def read_lists(folder: Path, epochs: Epochs) -> pa.Table:
    """All lists that are kept and count, with `batch` (int64), the micro-batch that wrote them."""
    tables = [
        pq.read_table(folder / name).append_column("batch", pa.array([number] * rows, pa.int64()))
        for number, epoch, name in sorted(parts(folder))
        if name.endswith(".parquet") and epoch == epochs.owner(number)
        for rows in [pq.read_metadata(folder / name).num_rows]
    ]
    return pa.concat_tables(tables) if tables else pa.table({})


def latest_lists(folder: Path, epochs: Epochs) -> pa.Table:
    """The last list of each user."""
    table = read_lists(folder, epochs)
    if len(table) == 0:
        return table
    last = table.group_by("user_id").aggregate([("batch", "max")])
    return table.join(last, keys=["user_id", "batch"], right_keys=["user_id", "batch_max"], join_type="inner")
