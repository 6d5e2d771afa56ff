"""Exploration: what is in the log, in tables small enough to read.

Counts speak of the rows as read, exact duplicates included (`copies`), so that they can be held
against published figures of the raw files. Each part of the users is counted by itself; sums of the parts' counts
are those of the log.
"""

from typing import Any

from app.core import duck
from app.core.duck import Relation, query
from app.events.revenue import REVENUE_CENTS
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
LENGTHS = (*range(1, 22), 31, 51, 101)  #: events of a session from which on a new bar begins; the last has no end
MISSING = {
    "category_code": f"category_code = '{UNKNOWN}'",
    "brand": f"brand = '{UNKNOWN}'",
    "user_session": "user_session is null",
    "category_id": "category_id is null",
    "price": "listed_price is null",
}
#: A category's id stands in where its name is missing.
CATEGORY = f"coalesce(nullif(main_category, '{UNKNOWN}'), 'category ' || category_id, '{UNKNOWN}')"
#: Which columns a row of the cube tells apart: a bit of 1 for each of date, hour, main_category, brand that it has not.
TIMES, CATEGORIES, BRANDS = 0b0011, 0b1101, 0b1110


def event_cube(events: Relation, timezone: str) -> Relation:
    """Counts by event type and time, main category or brand.

    Parameters
    ----------
    events
        The events table, all events of a user.
    timezone
        The shop's time zone, for the hours.

    Returns
    -------
    Relation
        told_apart (`TIMES`, `CATEGORIES` or `BRANDS`), event_type, date, hour, main_category, brand; rows, revenue
        (hundredths), priced (rows with a listed price), paid_for (sum of these prices), cheapest, dearest,
        not_positive, first, last, missing_<column>.
    """
    missing = ", ".join(f"{_rows(condition)} as missing_{name}" for name, condition in MISSING.items())
    local = f"hour(timezone('{timezone}', timezone('UTC', event_time)))"
    return query(
        f"""
        select grouping(date, hour, main_category, brand) as told_apart, event_type, date, hour, main_category, brand,
            {_rows("true")} as rows, sum({REVENUE_CENTS})::bigint as revenue,
            {_rows("listed_price is not null")} as priced, fsum(listed_price * copies) as paid_for,
            min(listed_price) as cheapest, max(listed_price) as dearest, {_rows("listed_price <= 0")} as not_positive,
            min(event_time) as first, max(event_time) as last, {missing}
        from (select * replace ({local} as hour, {CATEGORY} as main_category) from events)
        group by grouping sets ((event_type, date, hour), (event_type, main_category), (event_type, brand))
        """,
        events=events,
    )


def _rows(condition: str) -> str:
    """Rows as read that meet a condition."""
    return f"coalesce(sum(copies) filter ({condition}), 0)::bigint"


def explore_events(cube: Relation, users: int, products: int) -> EventFigures:
    """Event mix, missing values, days, hours, prices, top categories and brands.

    Parameters
    ----------
    cube
        `event_cube` of all parts.
    users, products
        How many there are.
    """
    times = cube.filter(f"told_apart = {TIMES}")
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in ("rows", *(f"missing_{name}" for name in MISSING)))
    ends = "min(first) as first, max(last) as last"
    (overall,) = duck.rows(times.aggregate(f"{sums}, sum(not_positive)::bigint as not_positive, {ends}"))
    missing = {name: overall[f"missing_{name}"] for name in MISSING}
    return EventFigures(
        users=users,
        products=products,
        first=overall["first"].replace(microsecond=0),
        last=overall["last"].replace(microsecond=0),
        event_mix=_event_mix(times),
        missing=tuple(
            MissingRow(column=name, missing=rows, share=rows / overall["rows"]) for name, rows in missing.items()
        ),
        prices_not_positive=overall["not_positive"],
        by_day=tuple(DayRow(day=day, events=sum(types.values()), by_type=types) for day, types in _by(times, "date")),
        by_hour=tuple(
            HourRow(hour=hour, events=sum(types.values()), by_type=types) for hour, types in _by(times, "hour")
        ),
        price_by_event_type=_prices(times),
        top_categories=_top(cube.filter(f"told_apart = {CATEGORIES}"), "main_category"),
        top_brands=_top(cube.filter(f"told_apart = {BRANDS}"), "brand"),
    )


def _event_mix(times: Relation) -> tuple[EventMixRow, ...]:
    counts = dict(times.aggregate("event_type, sum(rows)::bigint").fetchall())
    total = sum(counts.values()) or 1
    return tuple(
        EventMixRow(event_type=name, events=counts.get(name, 0), share=counts.get(name, 0) / total)
        for name in EVENT_TYPES
    )


def _by(times: Relation, column: str) -> list[tuple[Any, dict[str, int]]]:
    """Rows by event type, for each day or hour, in order."""
    types = ", ".join(f"coalesce(sum(rows) filter (event_type = '{name}'), 0)::bigint" for name in EVENT_TYPES)
    rows = times.aggregate(f"{column}, {types}").order(column).fetchall()
    return [(value, dict(zip(EVENT_TYPES, counts, strict=True))) for value, *counts in rows]


def _prices(times: Relation) -> tuple[PriceRow, ...]:
    rows = times.aggregate(
        "event_type, fsum(paid_for) / nullif(sum(priced), 0) as mean, min(cheapest) as min, max(dearest) as max, "
        "sum(priced)::bigint as events"
    )
    return tuple(PriceRow(**row) for row in duck.rows(rows.order("event_type")))


def _top(rows: Relation, column: str) -> tuple[LeaderRow, ...]:
    top = rows.aggregate(
        f"{column} as name, sum(rows)::bigint as events, "
        f"coalesce(sum(rows) filter (event_type = '{PURCHASE}'), 0)::bigint as purchases, "
        "coalesce(sum(revenue), 0) / 100 as revenue"
    )
    return tuple(LeaderRow(**row) for row in duck.rows(top.order("events desc, name").limit(TOP)))


def session_counts(sessions: Relation) -> Relation:
    """How many sessions are so long, as published: a session is a session id, whoever has it.

    Parameters
    ----------
    sessions
        `session_table` of all users.

    Returns
    -------
    Relation
        events, seconds (one of them null: each is counted by itself), sessions, buying (of these, with a purchase).
    """
    return query(
        """
        select events, seconds, count(*) as sessions, count(*) filter (purchases > 0) as buying from (
            select sum(rows)::bigint as events, sum(purchases) as purchases,
                floor(epoch(max("end")))::bigint - floor(epoch(min(start)))::bigint as seconds
            from sessions group by session_id
        ) group by grouping sets ((events), (seconds))
        """,
        sessions=sessions,
    )


def explore_sessions(counts: Relation) -> SessionFigures:
    """Length and duration of sessions.

    Parameters
    ----------
    counts
        `session_counts`.
    """
    by_events, by_seconds = (counts.filter(f"{name} is not null") for name in ("events", "seconds"))
    as_long = ", ".join(f"coalesce(sum(sessions) filter (events >= {least}), 0)::bigint" for least in LENGTHS)
    (found,) = duck.rows(
        by_events.aggregate(
            f"coalesce(sum(sessions), 0)::bigint as count, coalesce(sum(buying), 0)::bigint as buying, "
            "sum(events * sessions) / sum(sessions) as mean_events, min(events) as min_events, "
            f"max(events) as max_events, {_deviation('events')} as std_events, [{as_long}] as lengths"
        )
    )
    (minutes,) = duck.rows(by_seconds.aggregate("sum(seconds * sessions) / sum(sessions) / 60 as mean_minutes"))
    p25, median, p75 = (
        duck.quantile(by_events.select("events, sessions as times"), "events", share) for share in (0.25, 0.5, 0.75)
    )
    median_seconds = duck.quantile(by_seconds.select("seconds, sessions as times"), "seconds", 0.5)
    lengths = found.pop("lengths")
    shorter = zip(LENGTHS, [*LENGTHS[1:], None], lengths, [*lengths[1:], 0], strict=True)
    return SessionFigures(
        **found,
        **minutes,
        median_minutes=None if median_seconds is None else median_seconds / 60,
        p25_events=p25,
        median_events=median,
        p75_events=p75,
        lengths=tuple(
            SessionLengthRow(events=least, to=end - 1 if end and end > least + 1 else None, sessions=this - longer)
            for least, end, this, longer in shorter
            if this > longer
        ),
        lengths_cap=LENGTHS[-1],
    )


def _deviation(name: str) -> str:
    """Standard deviation of a whole number that so many `sessions` have; its sums are exact."""
    n, total, squares = (f"sum(sessions{factor})" for factor in ("", f" * {name}", f" * {name} * {name}"))
    return f"sqrt(({n} * {squares} - {total} * {total}) / nullif({n} * ({n} - 1), 0))"
