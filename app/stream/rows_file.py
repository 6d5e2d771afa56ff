"""A Parquet file that is written batch by batch."""

from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.files import replacing

ROWS_PER_GROUP = 65_536  #: what is held in memory until it is written


class RowsFile:
    """A file, if it gets rows; in its place once `files` is closed.

    Parameters
    ----------
    target
        Where; its folder is made.
    files
        Closed by whoever made it, after `close`; after an exception nothing is left of the file.

    Attributes
    ----------
    rows
        How many it has been given.
    """

    def __init__(self, target: Path, files: ExitStack):
        self.rows = 0
        self._target, self._files = target, files
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows; all batches have one schema."""
        if len(batch) == 0:
            return
        self.rows += len(batch)
        self._pending.append(batch)
        self._pending_rows += len(batch)
        if self._pending_rows >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        rows = pa.Table.from_batches(self._pending)
        if self._writer is None:
            self._target.parent.mkdir(exist_ok=True)
            path = self._files.enter_context(replacing(self._target))
            self._writer = pq.ParquetWriter(path, rows.schema, compression="zstd")
        self._writer.write_table(rows)
        self._pending, self._pending_rows = [], 0
