"""The ordered funnel from view to purchase, by visit and by user.

A visit or user reaches a step when its event comes not before one that reached the step before. The product may be
another one: who looks at one product and buys the next has gone through the shop. By user, the whole must happen within
a window, counted from the first step, and the best of all attempts counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from app.core.duck import Relation, kept, query
from app.events.vocabulary import CART, EVENT_TYPES, PURCHASE, VIEW
from app.insight.behaviour_results import Funnel, FunnelGroup, Instead
from app.insight.shop_products import BANDS
from app.insight.visit_steps import PLACES, what_next

STEPS = (VIEW, CART, PURCHASE)
ALL = "all"
#: Dimension of `funnel_counts` → the column of `visit_steps` that all steps of a chain must agree in.
HELD = {"category": "category", "price": "band"}
SEGMENT = "segment"


def steps_of(event_types: Iterable[str]) -> tuple[str, ...]:
    """Those steps that a log of some event types has."""
    there = set(event_types)
    return tuple(step for step in STEPS if step in there)


@dataclass(frozen=True)
class StepRows:
    """What the funnel is counted on, put together once from `visit_steps` of a part; the steps, in order.

    `firsts`: visits with the first step, by user_id, category and band: spot of the first event, time of the latest.
    `later`: events of the other steps. `begun`: events of the first step, of users who have the second.
    """

    steps: tuple[str, ...]
    firsts: Relation
    later: Relation
    begun: Relation

    @classmethod
    def of(cls, visits: Relation, steps: Sequence[str]) -> "StepRows":
        """The rows of some steps, two at least."""
        first, *others = (code(step) for step in steps)
        later = kept(
            visits.filter(f"kind in ({', '.join(map(str, others))})").select(
                "visit, user_id, event_time, kind, category, band, spot"
            )
        )
        firsts = visits.filter(f"kind = {first}").aggregate(
            "visit, user_id, category, band, min(spot) as spot, max(event_time) as latest"
        )
        begun = query(
            f"""
            select user_id, event_time from visits
            semi join (from later where kind = {others[0]}) as later using (user_id) where kind = {first}
            """,
            visits=visits,
            later=later,
        )
        return cls(tuple(steps), kept(firsts), later, kept(begun))


def code(step: str) -> int:
    """Of an event type, as `visit_steps` has it."""
    return EVENT_TYPES.index(step)


def visits_reached(rows: StepRows, held: str | None = None) -> Relation:
    """The furthest step that each visit reaches.

    Parameters
    ----------
    rows
        Of a part.
    held
        A column that all steps must agree in, so that a visit counts once for each of its values; null counts nowhere.

    Returns
    -------
    Relation
        One row per visit with the first step: visit, user_id, value (of the column; -1 without one), reached (steps,
        from 1), spot (of the event that first reached the last of these).
    """
    column = held or "-1"
    parts = [
        f"""step_0 as (
        select visit, user_id, {column} as value, min(spot) as spot from firsts where {column} is not null group by all
    )"""
    ]
    for number, step in enumerate(rows.steps[1:], start=1):
        parts.append(f"""step_{number} as (
            select visit, value, min(later.spot) as spot
            from (select visit, {column} as value, spot from later where kind = {code(step)}) as later
            join step_{number - 1} as before using (visit, value) where later.spot > before.spot group by visit, value
        )""")
    numbers = range(1, len(rows.steps))
    joins = " ".join(f"left join step_{number} using (visit, value)" for number in numbers)
    reached = " + ".join(["1", *(f"(step_{number}.spot is not null)::int" for number in numbers)])
    latest = ", ".join(f"step_{number}.spot" for number in reversed(range(len(rows.steps))))
    return query(
        f"""
        with {", ".join(parts)}
        select visit, user_id, value, {reached} as reached, coalesce({latest}) as spot from step_0 {joins}
        """,
        firsts=rows.firsts,
        later=rows.later,
    )


def users_reached(rows: StepRows, window_days: float, until: datetime) -> Relation:
    """The furthest step that each user reaches within a window.

    Parameters
    ----------
    rows
        Of a part.
    window_days
        From the first step to the last, at most.
    until
        End of the data.

    Returns
    -------
    Relation
        One row per user with the first step: user_id, reached, still_open (whether the latest first step of a user
        short of the last is less than a window before the end).
    """
    window = f"to_microseconds({round(window_days * 86_400e6)})"
    # Of each event, the latest first step that leads to it: later ones leave more of the window.
    parts = ["chain_0 as (select user_id, event_time, event_time as begun from begun)"]
    for number, step in enumerate(rows.steps[1:], start=1):
        parts.append(f"""chain_{number} as (
            select event.user_id, event.event_time, before.begun
            from (from later where kind = {code(step)}) as event asof join chain_{number - 1} as before
            on event.user_id = before.user_id and event.event_time >= before.event_time
        ),
        done_{number} as (
            select distinct user_id, true as done_{number} from chain_{number} where event_time - begun <= {window}
        )""")
    numbers = range(1, len(rows.steps))
    joins = " ".join(f"left join done_{number} using (user_id)" for number in numbers)
    reached = " + ".join(["1", *(f"coalesce(done_{number}, false)::int" for number in numbers)])
    return query(
        f"""
        with first as (select user_id, max(latest) as latest from firsts group by user_id),
        {", ".join(parts)}
        select user_id, {reached} as reached,
            {reached} < {len(rows.steps)} and latest + {window} > timestamp '{until}' as still_open
        from first {joins}
        """,
        firsts=rows.firsts,
        later=rows.later,
        begun=rows.begun,
    )


def funnel_counts(rows: StepRows, window_days: float, until: datetime, segments: Relation | None) -> Relation:
    """How many visits and users of a part reach each step, overall and by what they are cut by.

    Parameters
    ----------
    rows, window_days, until
        As in `users_reached`.
    segments
        user_id and segment_id, where there are any.

    Returns
    -------
    Relation
        unit (session or user), dimension (`ALL`, `SEGMENT` or of `HELD`), value (int), reached, next (what came after
        the step, see `what_next`; null but for sessions of `ALL`), units, open (units that may still get further).
    """
    sessions, users = visits_reached(rows), users_reached(rows, window_days, until).select("*, -1 as value")
    found = [
        _counted(sessions, "session", ALL, next_one=f"spot % {PLACES}"),
        _counted(users, "user", ALL, still_open="count(*) filter (still_open)"),
        *(_counted(visits_reached(rows, held), "session", dimension) for dimension, held in HELD.items()),
    ]
    if segments is not None:
        for unit, units in (("session", sessions), ("user", users)):
            cut = query(
                "select units.* replace (segment_id as value) from units join segments using (user_id)",
                units=units,
                segments=segments,
            )
            found.append(_counted(cut, unit, SEGMENT))
    return reduce(lambda one, other: one.union(other), found)


def _counted(
    units: Relation, unit: str, dimension: str, next_one: str = "null::bigint", still_open: str = "0"
) -> Relation:
    return units.aggregate(
        f"'{unit}' as unit, '{dimension}' as dimension, value::int as value, reached, {next_one} as next, "
        f"count(*) as units, {still_open} as open"
    )


def buying_counts(rows: StepRows) -> Relation:
    """Visits of a part with the last step, in whatever order: buying, direct (those with none of the middle ones)."""
    last = code(rows.steps[-1])
    visits = rows.later.aggregate(f"visit, bool_or(kind = {last}) as bought, bool_or(kind <> {last}) as carted")
    return visits.filter("bought").aggregate("count(*) as buying, count(*) filter (not carted) as direct")


def funnel(
    counts: Relation,
    buying: Relation,
    steps: Sequence[str],
    window_days: float,
    categories: Sequence[str],
    segments: Mapping[int, str],
) -> Funnel:
    """The funnel, from `funnel_counts` and `buying_counts` of all parts; `categories`, `segments`: names by number."""
    rows = counts.aggregate("dimension, value, unit, reached, sum(units)::bigint").fetchall()
    reached: dict[tuple[str, int], dict[str, list[int]]] = {}
    for dimension, value, unit, last, units in rows:
        group = reached.setdefault((dimension, value), {"session": [0] * len(steps), "user": [0] * len(steps)})
        for step in range(last):  # who reached a step has reached those before
            group[unit][step] += units

    def groups(dimension: str, names: Mapping[int, str]) -> tuple[FunnelGroup, ...]:
        found = ((name, reached.get((dimension, value))) for value, name in names.items())
        return tuple(_group(name, group, dimension not in HELD) for name, group in found if group)

    total = reached.get((ALL, -1), {"session": [0] * len(steps), "user": [0] * len(steps)})
    ((still_open,),) = counts.filter(f"dimension = '{ALL}'").aggregate("coalesce(sum(open), 0)::bigint").fetchall()
    ((bought, direct),) = buying.aggregate(
        "coalesce(sum(buying), 0)::bigint, coalesce(sum(direct), 0)::bigint"
    ).fetchall()
    return Funnel(
        steps=tuple(steps),
        window_days=window_days,
        total=_group(ALL, total),
        open_users=still_open,
        buying_sessions=bought,
        direct_sessions=direct,
        instead=_instead(counts, steps),
        by_segment=groups(SEGMENT, segments),
        by_category=groups("category", dict(enumerate(categories))),
        by_price=groups("price", dict(enumerate(BANDS))),
    )


def _group(name: str, reached: dict[str, list[int]], by_user: bool = True) -> FunnelGroup:
    return FunnelGroup(name=name, sessions=tuple(reached["session"]), users=tuple(reached["user"]) if by_user else None)


def _instead(counts: Relation, steps: Sequence[str]) -> tuple[Instead, ...]:
    stopped = counts.filter(f"dimension = '{ALL}' and unit = 'session' and reached < {len(steps)}")
    rows = stopped.aggregate("reached, next, sum(units)::bigint as units").order("reached, units desc, next").fetchall()
    totals: dict[int, int] = {}
    for reached, _, units in rows:
        totals[reached] = totals.get(reached, 0) + units
    found = []
    for reached, code, units in rows:
        event, same = what_next(code)
        found.append(
            Instead(
                step=steps[reached - 1],
                event=event,
                same_product=same,
                sessions=units,
                share=units / totals[reached],
            )
        )
    return tuple(found)
