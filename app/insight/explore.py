"""Exploration: what is in the log, in tables small enough to read.

Counts speak of the rows as read, exact duplicates included (`copies`), so that they can be held
against published figures of the raw files.
"""

from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.revenue import revenue_cents
from app.events.vocabulary import EVENT_TYPES, PURCHASE, UNKNOWN

Table = list[dict[str, Any]]
TOP = 15  #: rows of the category and brand tables
LONGEST_SESSION_BAR = 20  #: sessions of this many events and more share one bar


def _rows(condition: Column | None = None) -> Column:
    """Rows as read that meet a condition."""
    counted = F.col("copies") if condition is None else F.when(condition, F.col("copies"))
    return F.coalesce(F.sum(counted), F.lit(0))


def _table(frame: DataFrame) -> Table:
    return [row.asDict() for row in frame.collect()]


def _with_share(table: Table, column: str) -> Table:
    total = sum(row[column] for row in table) or 1
    return [{**row, "share": row[column] / total} for row in table]


def _by_type() -> list[Column]:
    return [
        _rows().alias("events"),
        *(_rows(F.col("event_type") == name).alias(name) for name in EVENT_TYPES),
    ]


def explore_events(events: DataFrame, timezone: str) -> dict[str, Any]:
    """Event mix, missing values, days, hours, prices, top categories and brands.

    Parameters
    ----------
    events
        The events table.
    timezone
        The shop's time zone, for the hours.

    Returns
    -------
    dict
        `event_mix`, `missing`, `prices_not_positive`, `totals`, `by_day`, `by_hour`,
        `price_by_event_type`, `top_categories`, `top_brands`; shares are between 0 and 1.
    """
    missing_columns = {
        "category_code": F.col("category_code") == UNKNOWN,
        "brand": F.col("brand") == UNKNOWN,
        "user_session": F.col("user_session").isNull(),
        "category_id": F.col("category_id").isNull(),
        "price": F.col("listed_price").isNull(),
    }
    overall = events.agg(
        _rows().alias("rows"),
        _rows(F.col("listed_price") <= 0).alias("prices_not_positive"),
        F.date_format(F.min("event_time"), "yyyy-MM-dd HH:mm:ss").alias("first"),
        F.date_format(F.max("event_time"), "yyyy-MM-dd HH:mm:ss").alias("last"),
        *(_rows(condition).alias(f"missing_{name}") for name, condition in missing_columns.items()),
    ).first()
    assert overall is not None
    missing = [
        {
            "column": name,
            "missing": overall[f"missing_{name}"],
            "share": overall[f"missing_{name}"] / overall["rows"],
        }
        for name in missing_columns
    ]
    local_hour = F.hour(F.from_utc_timestamp("event_time", timezone)).alias("hour")
    return {
        "event_mix": _event_mix(events),
        "missing": missing,
        "prices_not_positive": overall["prices_not_positive"],
        "totals": {
            "users": events.select("user_id").distinct().count(),
            "products": events.select("product_id").distinct().count(),
            "first": overall["first"],
            "last": overall["last"],
        },
        "by_day": _table(events.groupBy(F.col("date").cast("string").alias("date")).agg(*_by_type()).orderBy("date")),
        "by_hour": _table(events.groupBy(local_hour).agg(*_by_type()).orderBy("hour")),
        "price_by_event_type": _prices(events),
        "top_categories": _top(events, "main_category"),
        "top_brands": _top(events, "brand"),
    }


def _event_mix(events: DataFrame) -> Table:
    counts = {
        row["event_type"]: row["events"] for row in _table(events.groupBy("event_type").agg(_rows().alias("events")))
    }
    return _with_share([{"event_type": name, "events": counts.get(name, 0)} for name in EVENT_TYPES], "events")


def _prices(events: DataFrame) -> Table:
    listed = F.col("listed_price")
    return _table(
        events.groupBy("event_type")
        .agg(
            (F.sum(listed * F.col("copies")) / _rows(listed.isNotNull())).alias("mean"),
            F.min(listed).alias("min"),
            F.max(listed).alias("max"),
            _rows(listed.isNotNull()).alias("events"),
        )
        .orderBy("event_type")
    )


def _top(events: DataFrame, column: str) -> Table:
    bought = F.col("event_type") == PURCHASE
    return _table(
        events.groupBy(column)
        .agg(
            _rows().alias("events"),
            _rows(bought).alias("purchases"),
            (F.coalesce(F.sum(revenue_cents()), F.lit(0)) / 100).alias("revenue"),
        )
        .orderBy(F.desc("events"), column)
        .limit(TOP)
    )


def explore_sessions(sessions: DataFrame) -> dict[str, Any]:
    """Length and duration of sessions, as published: a session is a session id.

    Parameters
    ----------
    sessions
        `session_table`.

    Returns
    -------
    dict
        `sessions` (count, moments and quartiles; durations in minutes) and `session_lengths`.
    """
    by_id = sessions.groupBy("session_id").agg(
        F.sum("rows").alias("events"), F.min("start").alias("start"), F.max("end").alias("end")
    )
    minutes = (F.col("end").cast("long") - F.col("start").cast("long")) / 60
    by_id = by_id.select("events", minutes.alias("minutes"))
    quartiles = F.percentile_approx("events", F.array(F.lit(0.25), F.lit(0.5), F.lit(0.75)), F.lit(10_000))
    row = by_id.agg(
        F.count("*").alias("count"),
        F.avg("events").alias("mean_events"),
        F.stddev("events").alias("std_events"),
        F.min("events").alias("min_events"),
        quartiles.alias("quartiles"),
        F.max("events").alias("max_events"),
        F.avg("minutes").alias("mean_minutes"),
        F.percentile_approx("minutes", F.lit(0.5), F.lit(10_000)).alias("median_minutes"),
    ).first()
    assert row is not None
    summary = row.asDict()
    quarters = summary.pop("quartiles") or [None] * 3
    summary |= dict(zip(("p25_events", "median_events", "p75_events"), quarters, strict=True))
    bars = by_id.groupBy(F.least("events", F.lit(LONGEST_SESSION_BAR)).alias("events"))
    return {
        "sessions": summary,
        "session_lengths": _table(bars.agg(F.count("*").alias("sessions")).orderBy("events")),
    }
