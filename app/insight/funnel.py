"""The funnel view → cart → purchase, by session, and weekly cohorts of users."""

from app.core.duck import Relation, query
from app.events.vocabulary import CART, PURCHASE, VIEW
from app.insight.results import CohortCell, Funnel, FunnelStep

STEPS = (VIEW, CART, PURCHASE)


def funnel_counts(sessions: Relation) -> Relation:
    """How many sessions of a part reach each step.

    A step counts when the session has it and all steps before: sessions with a view; of those
    with a cart event; of those with a purchase. Purchases without a cart event are told apart.

    Parameters
    ----------
    sessions
        `session_table`.

    Returns
    -------
    Relation
        One row: view, cart, purchase, buying (sessions with a purchase), direct (these without a cart event).
    """
    return sessions.aggregate(
        f"count(*) filter (views > 0) as {VIEW}, count(*) filter (views > 0 and carts > 0) as {CART}, "
        f"count(*) filter (views > 0 and carts > 0 and purchases > 0) as {PURCHASE}, "
        "count(*) filter (purchases > 0) as buying, count(*) filter (purchases > 0 and carts = 0) as direct"
    )


def funnel(counts: Relation) -> Funnel:
    """The funnel, from `funnel_counts` of all parts."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in (*STEPS, "buying", "direct"))
    ((*reached, buying, direct),) = counts.aggregate(sums).fetchall()
    steps = tuple(
        FunnelStep(step=name, sessions=count, share=count / reached[0] if reached[0] else 0.0)
        for name, count in zip(STEPS, reached, strict=True)
    )
    return Funnel(steps=steps, buying_sessions=buying, direct_purchase_share=direct / buying if buying else 0.0)


def cohort_counts(sessions: Relation) -> Relation:
    """Of the users of a part first seen in a week, how many were back in the weeks after: cohort, week, users."""
    return query(
        """
        with weeks as (select distinct user_id, date_trunc('week', start)::date as active from sessions),
        first as (select user_id, min(active) as cohort from weeks group by user_id)
        select cohort, (date_diff('day', cohort, active) / 7)::int as week, count(*) as users
        from weeks join first using (user_id) group by all
        """,
        sessions=sessions,
    )


def weekly_cohorts(counts: Relation) -> tuple[CohortCell, ...]:
    """Cohorts and weeks in order, from `cohort_counts` of all parts."""
    rows = counts.aggregate("cohort, week, sum(users)::bigint as users").order("cohort, week").fetchall()
    sizes = {cohort: users for cohort, week, users in rows if week == 0}
    return tuple(
        CohortCell(cohort=cohort, week=week, users=users, share=users / sizes[cohort]) for cohort, week, users in rows
    )
