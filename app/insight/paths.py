"""Paths: what follows what in a session, from event to event and from category to category."""

from collections.abc import Sequence

from app.core.duck import Relation, query
from app.events.vocabulary import EVENT_TYPES
from app.insight.behaviour_results import Journeys, Transition
from app.insight.visit_steps import PLACES

START, END, OTHERS = "start", "end", "other categories"
EVENTS, CATEGORIES = "events", "categories"
_OUTSIDE = -1  #: stands for the start before the first event, and the end after the last


def path_counts(visits: Relation) -> Relation:
    """How often one thing came right after another in the visits of a part.

    Of categories, a step is from one product to another one: its cart and purchase are no step.

    Parameters
    ----------
    visits
        `app.insight.visit_steps.visit_steps`.

    Returns
    -------
    Relation
        kind (`EVENTS` or `CATEGORIES`), before and after (codes; -1 for start and end), times.
    """
    return query(
        f"""
        with counted as materialized (
            select kind, coalesce(next_kind, {_OUTSIDE}) as next_kind, category,
                coalesce(next_category, {_OUTSIDE}) as next_category, moved, spot < {2 * PLACES} as first,
                count(*) as times
            from visits group by all
        ),
        steps as (
            select '{EVENTS}' as what, kind as before, next_kind as after, times from counted
            union all select '{EVENTS}', {_OUTSIDE}, kind, times from counted where first
            union all select '{CATEGORIES}', category, next_category, times from counted where moved
            union all select '{CATEGORIES}', {_OUTSIDE}, category, times from counted where first
        )
        select what as kind, before::int as before, after::int as after, sum(times)::bigint as times
        from steps group by all
        """,
        visits=visits,
    )


def paths(counts: Relation, categories: Sequence[str]) -> Journeys:
    """What people do next, from `path_counts` of all parts; `categories`: their names by number, empty for none."""
    names = (*categories, OTHERS)
    return Journeys(
        events=_transitions(counts, EVENTS, EVENT_TYPES),
        categories=_transitions(counts, CATEGORIES, names) if categories else (),
    )


def _transitions(counts: Relation, kind: str, names: Sequence[str]) -> tuple[Transition, ...]:
    own = counts.filter(f"kind = '{kind}'").aggregate("before, after, sum(times)::bigint as times")
    rows = own.order("before, after").fetchall()
    totals: dict[int, int] = {}
    for before, _, times in rows:
        totals[before] = totals.get(before, 0) + times
    return tuple(
        Transition(
            before=START if before == _OUTSIDE else names[before],
            after=END if after == _OUTSIDE else names[after],
            times=times,
            share=times / totals[before],
        )
        for before, after, times in rows
    )
