"""Tables made by hand, for tests whose answer is worked out beside them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from app.core.duck import Connection, Relation, connect, write
from app.events.clean import event_rows
from app.events.distinct import events_table as events_table_of
from app.events.identity import identity
from app.events.layout import REES46, Layout
from app.events.read import read_log
from app.events.schema import CLEANED_SCHEMA
from app.events.sessions import with_session_id
from app.events.vocabulary import UNKNOWN

#: user, product, event type, time ("10-01 09:00"; of 2019), and other columns of the events table
Event = tuple[int, int, str, str] | tuple[int, int, str, str, dict[str, Any]]


_numbers = count()
#: Types of the events table, times without a zone as they are inside of a part.
ARROW_EVENTS = pa.schema(
    [
        (field.name, pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type)
        for field in to_arrow_schema(CLEANED_SCHEMA, timezone="UTC")
    ]
)


def moment(text: str) -> datetime:
    """ "10-01 09:00" or "10-01 09:00:30" of 2019."""
    return datetime.fromisoformat(f"2019-{text}")


def _row(user: int, product: int, kind: str, at: str, other: dict[str, Any] | None = None) -> tuple[Any, ...]:
    time = moment(at)
    given = {
        "category_code": UNKNOWN,
        "brand": UNKNOWN,
        "copies": 1,
        "quantity": 1.0,
        **(other or {}),
        "event_time": time,
        "event_type": kind,
        "product_id": product,
        "user_id": user,
        "hour": time.hour,
        "minute": time.minute,
        "second": time.second,
        "day": time.day,
        "month": time.month,
        "dayofweek": time.isoweekday() % 7 + 1,
        "date": time.date(),
        "hour_bucket": time.replace(minute=0, second=0),
    }
    given["main_category"] = given["category_code"].split(".")[0]
    given.setdefault("listed_price", given.get("price"))
    return tuple(given.get(name) for name in CLEANED_SCHEMA.fieldNames())


def events_relation(connection: Connection, events: Iterable[Event]) -> Relation:
    """A cleaned events table, with sessions after 30 minutes of idling where no id is given."""
    columns = zip(CLEANED_SCHEMA.fieldNames(), zip(*(_row(*event) for event in events), strict=True), strict=False)
    values = {name: list(column) for name, column in columns}
    table = pa.table({name: values.get(name, []) for name in ARROW_EVENTS.names}, schema=ARROW_EVENTS)
    return with_session_id(connection.from_arrow(table).select("* exclude (session_id)"), idle_minutes=30)


def stored_events(folder: Path, events: Sequence[Event], parts: int = 2) -> Path:
    """A stored events table, its users shared out between parts."""
    folder.mkdir(exist_ok=True)
    with connect(folder / "spill") as connection:
        for part in range(parts):
            own = [event for event in events if event[0] % parts == part]
            write(events_relation(connection, own), folder / f"part-{part:05d}.parquet")
    return folder


def read_events(spark: SparkSession, source: str, layout: Layout = REES46, days: float | None = None) -> DataFrame:
    """All rows of a log as text, plain ones too."""
    rows = read_log(spark, source, layout, days).rows
    assert rows is not None  # nothing was put aside
    return rows


def cleaned(connection: Connection, parsed: DataFrame, layout: Layout = REES46) -> Relation:
    """The events table of rows of `app.events.clean.parse`."""
    rows = connection.from_arrow(event_rows(parsed, layout).toArrow())
    return events_table_of(rows, identity(layout), idle_minutes=30)


def relation(connection: Connection, rows: Sequence[Sequence[Any]], columns: str) -> Relation:
    """Rows by hand, as the columns of a table: "user_id bigint, segment varchar"."""
    name = f"by_hand_{next(_numbers)}"
    connection.execute(f"create temp table {name} ({columns})")
    if rows:
        connection.executemany(f"insert into {name} values ({', '.join('?' for _ in rows[0])})", rows)
    return connection.table(name)


def by_key(table: DataFrame | Relation, *keys: str) -> dict[Any, dict[str, Any]]:
    """Rows as dicts, by one column or a tuple of several."""
    if isinstance(table, DataFrame):
        rows = [row.asDict() for row in table.collect()]
    else:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    found = {row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): row for row in rows}
    assert len(found) == len(rows), f"{keys} is not a key"
    return found
