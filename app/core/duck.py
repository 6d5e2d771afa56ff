"""SQL over one part of a table, by DuckDB: what is done per user needs no shuffle once a user's rows lie together.

Times are UTC without a zone inside, and with UTC as their zone in files, as Spark has them.
"""

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

Relation = DuckDBPyRelation
Connection = DuckDBPyConnection

MEMORY = "512MB"  #: of one task; what exceeds it is spilled to disk. A part of 64 MiB of text takes about 300 MB.
_numbers = count()  #: so that no table has the name of another
_IN_FILES, _INSIDE = "TIMESTAMP WITH TIME ZONE", "TIMESTAMP"


def connect(spill: Path) -> Connection:
    """A database in memory that spills into a folder."""
    return duckdb.connect(
        config={
            "threads": 1,  # Spark runs as many tasks as there are cores
            "memory_limit": MEMORY,
            "temp_directory": str(spill),
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
        }
    )


def read(connection: Connection, *files: Path, alike: bool = True) -> Relation:
    """Parquet files of one table; those that are not `alike` may each lack columns of the others."""
    return _with_times(
        connection.read_parquet([str(file) for file in files], union_by_name=not alike), _IN_FILES, _INSIDE
    )


def write(relation: Relation, file: Path, codec: str = "zstd") -> None:
    """One Parquet file."""
    _with_times(relation, _INSIDE, _IN_FILES).write_parquet(str(file), compression=codec)


def kept(relation: Relation) -> Relation:
    """A relation worked out once, as a table of its connection, and not again for each that is made of it."""
    name = f"kept_{next(_numbers)}"
    relation.create(name)
    return _connection(relation).table(name)


def rows(relation: Relation) -> list[dict[str, Any]]:
    """Few rows, each by name of its columns."""
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def quantile(counts: Relation, name: str, share: float) -> Any:
    """The smallest value that at least this share do not exceed, None of nothing; found by counts, which may spill.

    Parameters
    ----------
    counts
        A row for each value, with how many `times` it is there.
    name
        Column of the values.
    share
        Of all, up to 1.
    """
    running = counts.select(f"{name}, sum(times) over (order by {name}) as upto, sum(times) over () as every")
    ((value,),) = running.filter(f"upto >= {share} * every").aggregate(f"min({name})").fetchall()
    return value


def texts(words: Iterable[str]) -> str:
    """A list of texts, as SQL writes it."""
    return "[" + ", ".join("'" + word.replace("'", "''") + "'" for word in words) + "]"


def query(sql: str, **tables: Relation) -> Relation:
    """What SQL makes of relations of one connection, each by the name that it has in the text.

    An order that is to last belongs after it (`.order`), not into the text.
    """
    connection = _connection(next(iter(tables.values())))
    # DuckDB finds the relations as variables. A view of each would do as well, but makes it bind all anew: half of the
    # time that a small table takes.
    found: Relation = eval("_connection.sql(_text)", {"_connection": connection, "_text": sql, **tables})
    return found


def _connection(relation: Relation) -> Connection:
    found: Connection = relation._con  # no public way leads from a relation to its connection
    return found


def _with_times(relation: Relation, kind: str, wanted: str) -> Relation:
    named = zip(relation.columns, relation.types, strict=True)
    times = [name for name, found in named if str(found) == kind]
    if not times:
        return relation
    cast = ", ".join(f'"{name}"::{wanted} as "{name}"' for name in times)
    return query(f"select * replace ({cast}) from timed", timed=relation)
