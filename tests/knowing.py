"""Which files know a user."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import feather


def places_of(output: Path, user: int) -> set[str]:
    """Files below a folder that a user's id stands in, whatever they are."""
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file() and _holds(path, user)}


def _holds(path: Path, user: int) -> bool:
    if path.suffix == ".parquet":
        return any(_in_column(column, user) for column in pq.read_table(path).itercolumns())
    if path.suffix == ".arrow":
        return any(_in_column(column, user) for column in feather.read_table(path).itercolumns())
    if path.suffix == ".npy":
        return bool((np.load(path, mmap_mode="r") == user).any())
    return str(user).encode() in path.read_bytes()


def _in_column(column: pa.ChunkedArray, user: int) -> bool:
    while pa.types.is_list(column.type):
        column = pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type)
    if pa.types.is_int64(column.type):
        return bool(pc.any(pc.equal(column, user)).as_py())
    return pa.types.is_string(column.type) and any(str(user) in (text or "") for text in column.to_pylist())
