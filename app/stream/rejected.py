"""Rejected rows of forgotten users: taken out of their files, which nothing but people read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.files import replacing
from app.core.settings import Settings
from app.events.forgotten import Forgotten
from app.events.ids import number_of
from app.events.layout import layout_of
from app.stream.folders import StreamFolders
from app.stream.forgetting import MICROS, SETTLED_SECONDS, read_marker, settled, write_marker
from app.stream.taken_out import noting, read_or_delete


class RejectedCleaner:
    """Takes forgotten users out of rejected rows, and marks what is done.

    A row that can't be read does not say which of its values is the user: a row goes whichever it is.

    Parameters
    ----------
    folders
        Of the stream.
    settings
        Layout: what an id is.
    """

    def __init__(self, folders: StreamFolders, settings: Settings):
        layout = layout_of(settings)
        self._folders, self._text_ids, self._delimiter = folders, layout.ids == "text", layout.delimiter

    def run(self, forgotten: Forgotten) -> None:
        """Rewrite what holds rows from before a forgetting that isn't marked as done."""
        forgotten, before = settled(forgotten), read_marker(self._folders).rejected
        if forgotten.latest <= before:
            return
        for path in self._folders.rejected.glob("batch*/*.parquet"):
            try:
                if path.stat().st_mtime <= forgotten.latest / MICROS + SETTLED_SECONDS:
                    self._rewrite(path, forgotten)
            except FileNotFoundError:  # deleted meanwhile
                continue
        write_marker(self._folders, rejected=forgotten.latest)

    def _rewrite(self, path: Path, forgotten: Forgotten) -> None:
        rows = read_or_delete(path)
        if rows is None:
            return
        kept = [not forgotten.among(self._numbers(row)) for row in rows["row"].to_pylist()]
        if not all(kept):
            came = path.parent.stat().st_mtime_ns
            with replacing(path) as part:
                pq.write_table(noting(rows.filter(pa.array(kept)), kept.count(False)), part, compression="zstd")
            os.utime(path.parent, ns=(came, came))  # by which it is deleted with its day

    def _numbers(self, row: str | None) -> Iterator[int]:
        """What any of a row's values would be as the id of a user."""
        for value in (row or "").replace(self._delimiter, ",").split(","):
            number = number_of(value.strip().strip('"'), self._text_ids)
            if number is not None:
                yield number
