"""Counts of events in windows of time, for the live dashboards: worked out anew from the archive.

A window's counts are those of the events that the archive holds of it. So they need no state and no second
reading of what arrives, an event that comes twice counts once however late, and after a kill there is nothing
to be reconciled: the windows that may have changed are counted again.

DuckDB counts, in a thread of the driver, beside the micro-batches: the first job of Spark on Parquet loads 1,700 of
Java's classes and has much of its code compiled anew, which at 3,000 events a second held lists up for four seconds.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from app.core import duck
from app.core.duck import Connection, Relation
from app.core.settings import Settings
from app.events.identity import identity
from app.events.layout import layout_of
from app.events.revenue import REVENUE_CENTS
from app.stream.away_files import read_through
from app.stream.intake import MINUTE
from app.stream.window_files import WINDOW_KEY, WINDOW_SCHEMA

AT_ONCE = 500_000  #: events that are told apart at a time: some 120 MB, of which DuckDB spills little
#: What is counted of an event, in the order by which copies of it that differ are compared.
_COUNTED = ("event_time", "event_type", "category_code", "price", "quantity")
_LATER = {"quantity": "double", "event_id": "varchar"}  #: columns that the first edition's archive has not
#: What a damaged file may be told by; a name of a column that is no text has no error of DuckDB's own.
_DAMAGED = (duckdb.Error, RuntimeError)


def count_windows(files: Sequence[Path], starts: Collection[int], settings: Settings, spill: Path) -> pa.Table:
    """Distinct events and revenue by window, event type and main category.

    A damaged file is passed over: the accounts tell of it.

    Parameters
    ----------
    files
        Of the archive: columns of `ARCHIVE_SCHEMA`.
    starts
        Of the windows to count, microseconds since 1970.
    settings
        Length of a window, highest price, layout.
    spill
        A folder for what exceeds the memory.

    Returns
    -------
    Table
        `WINDOW_SCHEMA`: revenue in the shop's currency, of purchases only. Copies of an event that differ in what is
        counted count as the greatest of them. Bounded by windows × event types × main categories.

    Raises
    ------
    OSError
        The system does not give a file now: without its rows counts would be too low, and stay so.
    """
    try:
        return _count(files, starts, settings, spill)
    except _DAMAGED:
        for path in files:
            read_through(path)
    whole = [path for path in files if _is_whole(path, settings, spill)]
    # If all are, one was away for a moment, and is counted now.
    return _count(whole, starts, settings, spill) if whole else WINDOW_SCHEMA.empty_table()


def _count(files: Sequence[Path], starts: Collection[int], settings: Settings, spill: Path) -> pa.Table:
    keys = ", ".join(identity(layout_of(settings)))
    length = settings.window_minutes * MINUTE
    wanted = f"epoch_us(event_time) between {min(starts)} and {max(starts) + length}"
    with duck.connect(spill) as connection:
        events = _events(connection, files).filter(wanted)
        ((rows,),) = events.aggregate("count(*)").fetchall()
        parts = rows // AT_ONCE + 1
        tables = [
            _sums(events.filter(f"hash({keys}) % {parts} = {part}"), starts, settings).to_arrow_table()
            for part in range(parts)
        ]
    sums = pa.concat_tables(tables).group_by([*WINDOW_KEY]).aggregate([("events", "sum"), ("cents", "sum")])
    revenue = pc.divide(sums["cents_sum"].cast(pa.float64()), 100.0)
    counts = [*(sums[name] for name in WINDOW_KEY), sums["events_sum"], revenue]
    return (
        pa.table(counts, WINDOW_SCHEMA.names).cast(WINDOW_SCHEMA).sort_by([(name, "ascending") for name in WINDOW_KEY])
    )


def _sums(events: Relation, starts: Collection[int], settings: Settings) -> Relation:
    """Distinct events and hundredths of revenue, of the windows that are wanted."""
    length = settings.window_minutes * MINUTE
    keys = identity(layout_of(settings))
    others = [name for name in _COUNTED if name not in keys]
    # Nothing is less than anything: DuckDB has it the other way round.
    compared = ", ".join(f"{name} is not null as has_{name}, {name}" for name in others)
    once = f"""
        select {", ".join(keys)}, unnest(max(struct_pack({_packed(others)})))
        from (select {", ".join(keys)}, {compared} from priced)
        group by {", ".join(keys)}
    """
    # A file's statistics leave out what is not a number, and DuckDB takes them at their word.
    known = f"price > 0 and price <= '{settings.max_price}'::double and not isnan(price)"
    started = f"""
        select *, epoch_us(event_time) // {length} * {length} as start, {REVENUE_CENTS} as cents
        from once
    """
    return duck.query(
        f"""
        with priced as (select * replace (case when {known} then price end as price) from events),
            once as ({once}),
            started as ({started})
        select
            make_timestamp(start) as start, event_type, split_part(category_code, '.', 1) as main_category,
            count(*) as events, coalesce(sum(cents), 0)::bigint as cents
        from started
        where start in ({", ".join(map(str, starts))})
        group by all
        """,
        events=events,
    )


def _events(connection: Connection, files: Sequence[Path]) -> Relation:
    """With the columns that an older archive lacks, which are null."""
    events = duck.read(connection, *files, alike=False)
    lacking = [f"null::{kind} as {name}" for name, kind in _LATER.items() if name not in events.columns]
    return events.select(", ".join(["*", *lacking]))


def _is_whole(file: Path, settings: Settings, spill: Path) -> bool:
    """Whether all that is counted can be read."""
    needed = ", ".join({*identity(layout_of(settings)), *_COUNTED})
    try:
        with duck.connect(spill) as connection:
            _events(connection, [file]).aggregate(f"bit_xor(hash({needed}))").fetchall()
    except _DAMAGED:
        return False
    return True


def _packed(names: Sequence[str]) -> str:
    return ", ".join(f"has_{name} := has_{name}, {name} := {name}" for name in names)
