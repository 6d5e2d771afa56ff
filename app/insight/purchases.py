"""Purchases: what of a customer's events is one purchase."""

from datetime import date

from app.core.duck import Relation, query
from app.events.revenue import REVENUE_CENTS
from app.events.vocabulary import PURCHASE

EPOCH = date(1970, 1, 5)  #: a Monday, from which days are numbered


def orders(events: Relation) -> Relation:
    """One row per purchase of a customer.

    Lines of one order are one purchase where the layout names an order's id; else those of one day are.

    Parameters
    ----------
    events
        The events table, all events of a user.

    Returns
    -------
    Relation
        user_id, user_key, ordered_on (date in UTC, of the first line), cents (price × quantity, hundredths of the
        shop's currency; 0 where no price is known).
    """
    # a table that an earlier version has cleaned has no such column
    order = "coalesce(order_id, date::text)" if "order_id" in events.columns else "date::text"
    return query(
        f"""
        select user_id, max(user_key) as user_key, min(date) as ordered_on,
            coalesce(sum({REVENUE_CENTS}), 0)::bigint as cents
        from events where event_type = '{PURCHASE}' group by user_id, {order}
        """,
        events=events,
    )


def day_number(day: date) -> int:
    """The number of a day in `by_day`."""
    return (day - EPOCH).days


def by_day(purchases: Relation) -> Relation:
    """What the models of value take for a purchase, from `orders`: user_id, period (number of the day), cents."""
    return purchases.select(f"user_id, date_diff('day', date '{EPOCH}', ordered_on) as period, cents")
