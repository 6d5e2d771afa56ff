"""Events of plain lines on the disk: what a task writes for all parts, and what a part reads of all tasks.

Each task writes one file, in it for each part streams of Arrow's, and beside it where they lie: a part reads of a file
its own bytes alone. (In Parquet it would read all footers, which grow with the number of parts, as that of files does.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.core.duck import Connection, Relation
from app.core.partitioning import part_of
from app.events.plain import PLAIN_SCHEMA

HELD_BYTES = 64 * 1024 * 1024  #: of events that a task holds before it writes streams of them
EVENTS, PLACES = "events.arrows", "places.int64"  #: what a task writes
#: Words are written out: a stream that holds few events would hold all words of its task else.
_STORED = pa.schema([(one.name, getattr(one.type, "value_type", one.type)) for one in PLAIN_SCHEMA])
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")
_BEGIN, _END, _ROWS = range(3)  #: of a stream: its first byte, the one after its last, its events


class EventsWriter:
    """Writes a task's events into its folder, whence `app.core.parts.by_part` moves them."""

    def __init__(self, folder: Path, parts: int):
        self._folder, self._parts = folder, parts
        self._held, self._places = list[pa.Table](), list[NDArray[np.int64]]()

    def __enter__(self) -> Self:
        self._file = open(self._folder / EVENTS, "wb")
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        with self._file:
            if failure is None:
                self._write()
                np.array(self._places, np.int64).tofile(self._folder / PLACES)

    def add(self, events: pa.Table) -> None:
        """Add events (`PLAIN_SCHEMA`)."""
        self._held.append(events.cast(_STORED))
        if sum(held.nbytes for held in self._held) >= HELD_BYTES:
            self._write()

    def _write(self) -> None:
        events = pa.concat_tables([_STORED.empty_table(), *self._held])
        self._held = []
        numbers = part_of(events["user_id"].to_numpy(), self._parts)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(self._parts + 1))
        ordered = events.take(order)
        places = np.zeros((self._parts, 3), np.int64)
        for part in range(self._parts):
            begin, rows = self._file.tell(), ordered.slice(bounds[part], bounds[part + 1] - bounds[part])
            if rows.num_rows:
                with pa.ipc.new_stream(self._file, _STORED, options=_PACKED) as stream:
                    stream.write_table(rows)
            places[part] = begin, self._file.tell(), rows.num_rows
        self._places.append(places)


@dataclass(frozen=True)
class PlainEvents:
    """Folders in which tasks wrote, and into how many parts their events are shared out."""

    folders: tuple[Path, ...]
    parts: int


def read_plain(connection: Connection, plain: PlainEvents, part: int) -> Relation:
    """The events of a part, as of `app.events.clean.event_rows`; to be read once."""
    reader = pa.RecordBatchReader.from_batches(_STORED, _batches(plain, part))
    return connection.from_arrow(reader).select("*, 1::bigint as copies")


def plain_count(plain: PlainEvents | None) -> int:
    """How many lines were plain."""
    return 0 if plain is None else sum(int(places[:, :, _ROWS].sum()) for _, places in _written(plain))


def _batches(plain: PlainEvents, part: int) -> Iterator[pa.RecordBatch]:
    for events, places in _written(plain):
        with open(events, "rb") as file:
            for begin, end, rows in places[:, part]:
                if rows:
                    file.seek(begin)
                    yield from pa.ipc.open_stream(file.read(end - begin))


def _written(plain: PlainEvents) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Of each task its events and (streams, parts, 3) where they lie: of the streams of a part one after the other."""
    for folder in plain.folders:
        events, places = (sorted(_table(folder, name).glob("part-*")) for name in (EVENTS, PLACES))
        for written, where in zip(events, places, strict=True):
            yield written, np.fromfile(where, np.int64).reshape(-1, plain.parts, 3)


def _table(folder: Path, name: str) -> Path:
    """Where `app.core.parts.by_part` moves files of that name."""
    return folder / Path(name).stem
