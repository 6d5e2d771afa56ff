"""Exploration: what is in the log, in tables small enough to read.

Counts speak of the rows as read, exact duplicates included (`copies`), so that they can be held
against published figures of the raw files.
"""

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from app.events.revenue import revenue_cents
from app.events.vocabulary import EVENT_TYPES, PURCHASE, UNKNOWN
from app.insight.results import (
    DayRow,
    EventFigures,
    EventMixRow,
    HourRow,
    LeaderRow,
    MissingRow,
    PriceRow,
    SessionFigures,
    SessionLengthRow,
)

TOP = 15  #: rows of the category and brand tables
LONGEST_SESSION_BAR = 20  #: sessions of this many events and more share one bar


def _rows(condition: Column | None = None) -> Column:
    """Rows as read that meet a condition."""
    counted = F.col("copies") if condition is None else F.when(condition, F.col("copies"))
    return F.coalesce(F.sum(counted), F.lit(0))


def explore_events(events: DataFrame, timezone: str) -> EventFigures:
    """Event mix, missing values, days, hours, prices, top categories and brands.

    Parameters
    ----------
    events
        The events table.
    timezone
        The shop's time zone, for the hours.
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
    return EventFigures(
        users=events.select("user_id").distinct().count(),
        products=events.select("product_id").distinct().count(),
        first=overall["first"],
        last=overall["last"],
        event_mix=_event_mix(events),
        missing=tuple(
            MissingRow(
                column=name, missing=overall[f"missing_{name}"], share=overall[f"missing_{name}"] / overall["rows"]
            )
            for name in missing_columns
        ),
        prices_not_positive=overall["prices_not_positive"],
        by_day=_by_day(events),
        by_hour=_by_hour(events, timezone),
        price_by_event_type=_prices(events),
        top_categories=_top(events, "main_category"),
        top_brands=_top(events, "brand"),
    )


def _event_mix(events: DataFrame) -> tuple[EventMixRow, ...]:
    rows = events.groupBy("event_type").agg(_rows().alias("events")).collect()
    counts = {row["event_type"]: row["events"] for row in rows}
    total = sum(counts.values()) or 1
    return tuple(
        EventMixRow(event_type=name, events=counts.get(name, 0), share=counts.get(name, 0) / total)
        for name in EVENT_TYPES
    )


def _by_day(events: DataFrame) -> tuple[DayRow, ...]:
    rows = events.groupBy("date").agg(*_counts()).orderBy("date").collect()
    return tuple(DayRow(day=row["date"], events=row["events"], by_type=_by_type(row)) for row in rows)


def _by_hour(events: DataFrame, timezone: str) -> tuple[HourRow, ...]:
    local = F.hour(F.from_utc_timestamp("event_time", timezone)).alias("hour")
    rows = events.groupBy(local).agg(*_counts()).orderBy("hour").collect()
    return tuple(HourRow(hour=row["hour"], events=row["events"], by_type=_by_type(row)) for row in rows)


def _counts() -> list[Column]:
    return [
        _rows().alias("events"),
        *(_rows(F.col("event_type") == name).alias(name) for name in EVENT_TYPES),
    ]


def _by_type(row: Row) -> dict[str, int]:
    return {name: row[name] for name in EVENT_TYPES}


def _prices(events: DataFrame) -> tuple[PriceRow, ...]:
    listed = F.col("listed_price")
    rows = (
        events.groupBy("event_type")
        .agg(
            (F.sum(listed * F.col("copies")) / _rows(listed.isNotNull())).alias("mean"),
            F.min(listed).alias("min"),
            F.max(listed).alias("max"),
            _rows(listed.isNotNull()).alias("events"),
        )
        .orderBy("event_type")
        .collect()
    )
    return tuple(PriceRow(**row.asDict()) for row in rows)


def _top(events: DataFrame, column: str) -> tuple[LeaderRow, ...]:
    bought = F.col("event_type") == PURCHASE
    rows = (
        events.groupBy(F.col(column).alias("name"))
        .agg(
            _rows().alias("events"),
            _rows(bought).alias("purchases"),
            (F.coalesce(F.sum(revenue_cents()), F.lit(0)) / 100).alias("revenue"),
        )
        .orderBy(F.desc("events"), "name")
        .limit(TOP)
        .collect()
    )
    return tuple(LeaderRow(**row.asDict()) for row in rows)


def explore_sessions(sessions: DataFrame) -> SessionFigures:
    """Length and duration of sessions, as published: a session is a session id.

    Parameters
    ----------
    sessions
        `session_table`.
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
    figures = row.asDict()
    p25, median, p75 = figures.pop("quartiles") or (None, None, None)
    bars = by_id.groupBy(F.least("events", F.lit(LONGEST_SESSION_BAR)).alias("events"))
    lengths = bars.agg(F.count("*").alias("sessions")).orderBy("events").collect()
    return SessionFigures(
        **figures,
        p25_events=p25,
        median_events=median,
        p75_events=p75,
        lengths=tuple(SessionLengthRow(**length.asDict()) for length in lengths),
        lengths_cap=LONGEST_SESSION_BAR,
    )
