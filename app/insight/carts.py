"""Carts: what becomes of what is put into them, what is left behind, and how long a purchase takes.

A cart line is a product that a user has put into the cart, however often; it is decided as
`app.features.pairs.cart_outcomes` decides it, so that bought ones and abandoned ones are the same.
"""

from datetime import datetime

from app.core.duck import Relation, query
from app.events.vocabulary import CART, PURCHASE, REMOVE
from app.features.pairs import carted
from app.insight.behaviour_results import CartOutcome, Carts, CartTimes, LeftBehind, Waited

BOUGHT, REMOVED, LEFT, OPEN = OUTCOMES = ("bought", "removed", "left", "open")
TOP = 10  #: products and categories named
MINUTE, HOUR, DAY = 60, 3_600, 86_400
EDGES = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY)  #: of bars, in seconds
QUANTILES = (0.25, 0.5, 0.75, 0.9)


def cart_lines(events: Relation, products: Relation, as_of: datetime, window_hours: int) -> Relation:
    """What became of each cart line.

    Parameters
    ----------
    events
        The events table, all events of a user.
    products
        `app.insight.shop_products.shop_products`; its mean price stands in for that of a cart event without one.
    as_of
        End of the data.
    window_hours
        Time in which a carted product must be bought.

    Returns
    -------
    Relation
        user_id, product_id, outcome (of `OUTCOMES`), cents (price × quantity of the last cart event; null without a
        price), seconds (from the first cart event to the first purchase after it; null without one).
    """
    return query(
        f"""
        with done as (
            select user_id, product_id, event_type, date_trunc('second', event_time) as done_at,
                round(coalesce(price, avg_price) * coalesce(quantity, 1.0) * 100)::bigint as cents
            from events join products using (product_id)
            where event_type in ('{CART}', '{PURCHASE}', '{REMOVE}')
        ),
        carted as ({carted(window_hours)}),
        followed as (
            select user_id, product_id, first_at, over_at,
                max(cents) filter (event_type = '{CART}' and done_at = carted_at) as cents,
                bool_or(event_type = '{PURCHASE}' and done_at between carted_at and over_at) as bought,
                bool_or(event_type = '{REMOVE}' and done_at >= carted_at) as removed,
                min(done_at) filter (event_type = '{PURCHASE}' and done_at >= first_at) as bought_at
            from done join carted using (user_id, product_id) group by user_id, product_id, first_at, over_at
        )
        select user_id, product_id, cents, date_diff('second', first_at, bought_at) as seconds,
            case when bought then '{BOUGHT}' when over_at > date_trunc('second', timestamp '{as_of}') then '{OPEN}'
                when removed then '{REMOVED}' else '{LEFT}' end as outcome
        from followed
        """,
        events=events,
        products=products,
    )


def line_counts(lines: Relation) -> Relation:
    """`cart_lines` of a part, by product: product_id, outcome, lines, cents."""
    return lines.aggregate("product_id, outcome, count(*) as lines, sum(cents)::bigint as cents")


def time_counts(lines: Relation) -> Relation:
    """How many lines of a part were bought after so many seconds: seconds, lines."""
    return lines.filter("seconds is not null").aggregate("seconds, count(*) as lines")


def carts(counts: Relation, times: Relation, products: Relation, window_hours: int, priced: bool) -> Carts:
    """What becomes of carts, from `line_counts` and `time_counts` of all parts; `priced`: whether prices are known."""
    sums = counts.aggregate("outcome, sum(lines)::bigint, coalesce(sum(cents), 0)::bigint").fetchall()
    found = {outcome: (lines, cents) for outcome, lines, cents in sums}
    outcomes = []
    for outcome in OUTCOMES:
        lines, cents = found.get(outcome, (0, 0))
        outcomes.append(CartOutcome(outcome=outcome, lines=lines, value=cents / 100 if priced else None))
    by_product = query(
        f"""
        select products.*, lines, cents, outcome
        from (select product_id, outcome, sum(lines)::bigint as lines, sum(cents)::bigint as cents from counts
            where outcome <> '{OPEN}' group by product_id, outcome) join products using (product_id)
        """,
        counts=counts,
        products=products,
    )
    return Carts(
        window_hours=window_hours,
        outcomes=tuple(outcomes),
        products=_most_left(
            by_product,
            "product_id",
            "any_value(coalesce(title, product_key, product_id::varchar))",
            "any_value(label)",
            priced,
        ),
        categories=_most_left(by_product.filter("label is not null"), "label", "label", "null::varchar", priced),
        times=_times(times),
    )


def _most_left(lines: Relation, key: str, name: str, category: str, priced: bool) -> tuple[LeftBehind, ...]:
    left = f"filter (outcome = '{LEFT}')"
    found = lines.aggregate(
        f"{name} as name, {category} as category, coalesce(sum(lines) {left}, 0)::bigint as gone, "
        f"sum(cents) {left} / 100 as lost, sum(lines)::bigint as decided, {key} as key",
        key,
    )
    order = f"{'lost desc nulls last, ' if priced else ''}gone desc, name, key"
    return tuple(
        LeftBehind(name=name, category=category, left=gone, value=lost if priced else None, decided=decided)
        for name, category, gone, lost, decided in found.filter("gone > 0")
        .order(order)
        .limit(TOP)
        .select("name, category, gone, lost, decided")
        .fetchall()
    )


def _times(times: Relation) -> CartTimes | None:
    bars = ", ".join(
        f"coalesce(sum(lines) filter (seconds >= {low} and seconds < {high}), 0)::bigint"
        for low, high in zip((0, *EDGES), (*EDGES, 2**62), strict=True)
    )
    ((total, *lines),) = times.aggregate(f"coalesce(sum(lines), 0)::bigint, {bars}").fetchall()
    if not total:
        return None
    once = times.aggregate("seconds, sum(lines)::bigint as lines")
    below = query("select seconds, sum(lines) over (order by seconds) as below from times", times=once)
    cuts = ", ".join(f"min(seconds) filter (below >= {share * total})" for share in QUANTILES)
    ((p25, median, p75, p90),) = below.aggregate(cuts).fetchall()
    return CartTimes(
        purchases=total,
        p25_seconds=p25,
        median_seconds=median,
        p75_seconds=p75,
        p90_seconds=p90,
        bars=tuple(
            Waited(below_seconds=edge, purchases=count) for edge, count in zip((*EDGES, None), lines, strict=True)
        ),
    )
