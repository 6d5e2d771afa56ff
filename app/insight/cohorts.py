"""Cohorts and lifecycle: who comes back, and who comes back after having been away.

Both speak of activity, of visits (any event) or of purchases, by calendar week (from Monday) or month, in UTC.
"""

from datetime import date, timedelta
from typing import Literal

from app.core.duck import Relation, query
from app.events.vocabulary import PURCHASE
from app.insight.customer_results import Cohort, Lifecycle, LifecycleRow, PeriodCohorts

Period = Literal["week", "month"]
Activity = Literal["visits", "purchases"]
KINDS: tuple[Activity, ...] = ("visits", "purchases")
WEEK = timedelta(days=7)


def activity(events: Relation) -> Relation:
    """Days on which a user was there: user_id, date, visits and purchases (whether there was any)."""
    return events.aggregate(f"user_id, date, true as visits, bool_or(event_type = '{PURCHASE}') as purchases")


def cohort_counts(days: Relation, period: Period) -> Relation:
    """Of the users of a part first active in a period, how many were active so many periods later.

    Parameters
    ----------
    days
        `activity`.
    period
        Of the cohorts, and of what comes after.

    Returns
    -------
    Relation
        kind (visits or purchases), cohort (first day of the period), later (int, from 0), users.
    """
    return query(
        _of_kinds(f"""
        with periods as (select distinct user_id, date_trunc('{period}', date)::date as period from days where KIND),
        first as (select user_id, min(period) as cohort from periods group by user_id)
        select 'KIND' as kind, cohort, date_diff('{period}', cohort, period)::int as later, count(*) as users
        from periods join first using (user_id) group by all
    """),
        days=days,
    )


def cohorts(counts: Relation, kind: Activity, period: Period, first: date, last: date) -> PeriodCohorts:
    """Cohorts, the oldest first; cells of periods that had not begun on the last day are absent.

    Parameters
    ----------
    counts
        `cohort_counts` of all parts.
    kind, period
        Which to take; the period that was counted by.
    first, last
        Days of the first and the last event.
    """
    rows = counts.filter(f"kind = '{kind}'").aggregate("cohort, later, sum(users)::bigint").fetchall()
    users = {(cohort, later): count for cohort, later, count in rows}
    starts = _periods(first, last, period)
    return PeriodCohorts(
        kind=kind,
        period=period,
        last_is_whole=_next(starts[-1], period) == last + timedelta(days=1),
        rows=tuple(
            Cohort(start=start, users=tuple(users.get((start, later), 0) for later in range(len(starts) - number)))
            for number, start in enumerate(starts)
        ),
    )


def lifecycle_counts(days: Relation, last: date) -> Relation:
    """What becomes of the users of a part from week to week.

    Parameters
    ----------
    days
        `activity`.
    last
        Day of the last event: nobody is dormant in a week after it.

    Returns
    -------
    Relation
        kind, week (Monday), state (new, returning, resurrected, dormant), users.
    """
    return query(
        _of_kinds(f"""
        with weeks as (select distinct user_id, date_trunc('week', date)::date as week from days where KIND),
        neighbours as (
            select user_id, week, lag(week) over own as before, lead(week) over own as after from weeks
            window own as (partition by user_id order by week)
        ),
        states as (
            select week, case when before is null then 'new' when before = week - 7 then 'returning'
                else 'resurrected' end as state from neighbours
            union all
            select week + 7, 'dormant' from neighbours
            where (after is null or after > week + 7) and week + 7 <= date '{last}'
        )
        select 'KIND' as kind, week::date as week, state, count(*) as users from states group by all
    """),
        days=days,
    )


def lifecycle(counts: Relation, kind: Activity, first: date, last: date) -> Lifecycle:
    """Every week from the first to the last, from `lifecycle_counts` of all parts."""
    rows = counts.filter(f"kind = '{kind}'").aggregate("week, state, sum(users)::bigint").fetchall()
    users = {(week, state): count for week, state, count in rows}
    states = ("new", "returning", "resurrected", "dormant")
    weeks = _periods(first, last, "week")
    return Lifecycle(
        kind=kind,
        last_is_whole=weeks[-1] + WEEK == last + timedelta(days=1),
        weeks=tuple(
            LifecycleRow(week=week, **{state: users.get((week, state), 0) for state in states}) for week in weeks
        ),
    )


def _of_kinds(sql: str) -> str:
    return " union all ".join(f"({sql.replace('KIND', kind)})" for kind in KINDS)


def _periods(first: date, last: date, period: Period) -> list[date]:
    """First days of the periods from one day to another."""
    start = first.replace(day=1) if period == "month" else first - timedelta(days=first.weekday())
    found = []
    while start <= last:
        found.append(start)
        start = _next(start, period)
    return found


def _next(start: date, period: Period) -> date:
    return start + WEEK if period == "week" else (start + timedelta(days=31)).replace(day=1)
