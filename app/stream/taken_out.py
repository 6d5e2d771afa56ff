"""Rows of forgotten users that were taken out of a file, counted in its footer: the accounts must not miss them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.errors import is_of_the_system

TAKEN_OUT = b"taken_out"


def noting(kept: pa.Table, taken_out: int) -> pa.Table:
    """What is left of a file's rows, with a note of so many more that are not there now."""
    metadata = kept.schema.metadata or {}
    return kept.replace_schema_metadata({**metadata, TAKEN_OUT: str(int(metadata.get(TAKEN_OUT, 0)) + taken_out)})


def written_rows(parquet: Path) -> int:
    """Rows that a file was written with, as its footer tells; a damaged one has none.

    Raises
    ------
    OSError
        The system does not give it now.
    """
    try:
        footer = pq.read_metadata(parquet)
    except (pa.ArrowException, OSError) as error:
        if is_of_the_system(error):
            raise
        return 0
    return int(footer.num_rows) + int((footer.metadata or {}).get(TAKEN_OUT, 0))


def read_or_delete(path: Path) -> pa.Table | None:
    """The rows of a file; one that is damaged is deleted, since it may name who was forgotten, and nobody can read it.

    The accounts tell of its rows.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        if is_of_the_system(error):
            raise
        path.unlink(missing_ok=True)
        return None
