"""User-product pairs: computed once, and what user, product and rating tables are built from."""

from datetime import datetime

from app.core.duck import Relation, query
from app.events.revenue import REVENUE_CENTS
from app.events.vocabulary import CART, KINDS, MAX_RATING, PURCHASE, RATING, REMOVE, VIEW

PAIR_SCHEMA = (
    "user_id long, product_id long, views long, carts long, removals long, purchases long, price_cents long, "
    "prices long, paid_cents long, first_seen timestamp, last_seen timestamp, last_purchase timestamp, kind int, "
    "user_key string, rating double, decayed double"
)
SECONDS_PER_DAY = 86_400
#: Code of an event's type in `KINDS`, which grows with commitment.
KIND = "case event_type " + " ".join(f"when '{name}' then {code}" for code, name in enumerate(KINDS)) + " end"
#: Implicit rating of one event, see `app.events.vocabulary.RATING`.
RATED = "case event_type " + " ".join(f"when '{name}' then {value}" for name, value in RATING.items()) + " else 0.0 end"


def user_product_pairs(events: Relation, as_of: datetime, half_life_days: float) -> Relation:
    """One row per user and product.

    Parameters
    ----------
    events
        The events table, all events of a user.
    as_of
        The moment from which age is counted.
    half_life_days
        Age at which an event counts half in `decayed`.

    Returns
    -------
    Relation
        `PAIR_SCHEMA`: user_id, product_id, views, carts, removals, purchases (counts), price_cents (sum of known
        prices, hundredths), prices (how many were known), paid_cents (purchases: price × quantity), first_seen,
        last_seen, last_purchase (timestamps), kind (int, in `KINDS`: the most committed event), user_key (the shop's
        own id, null where it is the number), rating (1/3/5 summed, capped at 10) and decayed (the same with decay,
        capped, rounded so that it does not depend on the order of the rows).
    """
    age_days = f"date_diff('second', event_time, timestamp '{as_of}') / {SECONDS_PER_DAY}"
    return query(
        f"""
        with rated as (
            select *, ({RATED})::double as rated, pow(0.5::double, {age_days} / {half_life_days}) as decay,
                round(price * 100)::bigint as cents, {REVENUE_CENTS} as revenue_cents, {KIND} as kind
            from events
        )
        select user_id, product_id,
            count(*) filter (event_type = '{VIEW}') as views,
            count(*) filter (event_type = '{CART}') as carts,
            count(*) filter (event_type = '{REMOVE}') as removals,
            count(*) filter (event_type = '{PURCHASE}') as purchases,
            sum(cents)::bigint as price_cents,  -- sums of integers: the order of rows can't matter
            count(cents) as prices,
            sum(revenue_cents)::bigint as paid_cents,
            min(event_time) as first_seen,
            max(event_time) as last_seen,
            max(event_time) filter (event_type = '{PURCHASE}') as last_purchase,
            max(kind)::int as kind,
            max(user_key) as user_key,
            least(sum(rated), {MAX_RATING})::double as rating,
            round(least(sum(rated * decay), {MAX_RATING}), 6)::double as decayed
        from rated group by user_id, product_id
        """,
        events=events,
    )


def carted(window_hours: int) -> str:
    """Carted pairs and when their windows are over, as SQL over `done`: user_id, product_id, event_type, done_at."""
    return f"""
        select user_id, product_id, min(done_at) as first_at, max(done_at) as carted_at,
            max(done_at) + interval {window_hours} hour as over_at
        from done where event_type = '{CART}' group by user_id, product_id
    """


def cart_outcomes(events: Relation, as_of: datetime, window_hours: int) -> Relation:
    """Carted pairs and whether each was left behind.

    A carted (user, product) pair is abandoned when no purchase of it follows within the window
    after its last cart event ((carts - purchases) / carts would be negative for the 35 % of
    buying sessions without a cart event). A pair whose window is not over at `as_of` counts only
    when it was bought.

    Parameters
    ----------
    events
        The events table, all events of a user.
    as_of
        End of the data.
    window_hours
        Time in which a carted product must be bought.

    Returns
    -------
    Relation
        user_id, carted_pairs, abandoned_pairs; users without a decided carted pair are absent.
    """
    return query(
        f"""
        with done as (
            select user_id, product_id, event_type, date_trunc('second', event_time) as done_at from events
            where event_type in ('{CART}', '{PURCHASE}')
        ),
        carted as ({carted(window_hours)}),
        outcomes as (
            select user_id, over_at, coalesce(bool_or(done_at between carted_at and over_at), false) as bought
            from carted left join (from done where event_type = '{PURCHASE}') using (user_id, product_id)
            group by user_id, product_id, over_at
        )
        select user_id, count(*) as carted_pairs, count(*) filter (not bought) as abandoned_pairs
        from outcomes where bought or over_at <= date_trunc('second', timestamp '{as_of}') group by user_id
        """,
        events=events,
    )
