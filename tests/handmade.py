"""Tables made by hand, for tests whose answer is worked out beside them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from app.events.schema import CLEANED_SCHEMA
from app.events.vocabulary import UNKNOWN

#: user, product, event type, time ("10-01 09:00"; of 2019), and other columns of the events table
Event = tuple[int, int, str, str] | tuple[int, int, str, str, dict[str, Any]]


def moment(text: str) -> datetime:
    """ "10-01 09:00" or "10-01 09:00:30" of 2019."""
    return datetime.fromisoformat(f"2019-{text}")


def events_table(spark: SparkSession, events: Iterable[Event]) -> DataFrame:
    """A cleaned events table."""
    return spark.createDataFrame([_row(*event) for event in events], CLEANED_SCHEMA)


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


def by_key(frame: DataFrame, *keys: str) -> dict[Any, dict[str, Any]]:
    """Rows as dicts, by one column or a tuple of several."""
    rows = [row.asDict() for row in frame.collect()]
    table = {row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): row for row in rows}
    assert len(table) == len(rows), f"{keys} is not a key"
    return table
