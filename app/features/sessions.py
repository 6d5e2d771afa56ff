"""Sessions: one row each, and what each was about.

`session_touches` is the fold of `app.serve.sessions` in SQL; a property test holds the two equal.
"""

from app.core.duck import Relation, query
from app.events.identity import SESSION_EVENT
from app.events.vocabulary import CART, MAX_RATING, PURCHASE, REMOVE, VIEW
from app.features.pairs import KIND, RATED

SESSION_SCHEMA = (
    "user_id long, session_id string, start timestamp, end timestamp, events long, rows long, views long, carts long, "
    "removals long, purchases long"
)
TOUCH_SCHEMA = (
    "user_id long, session_id string, product_ids array<long>, kinds array<int>, weights array<float>, "
    "times array<double>"
)


def session_table(events: Relation) -> Relation:
    """One row per user and session.

    Parameters
    ----------
    events
        The events table, all events of a user.

    Returns
    -------
    Relation
        `SESSION_SCHEMA`: `rows` are events with their duplicates, `views` to `purchases` counts.
    """
    return query(
        f"""
        select user_id, session_id, min(event_time) as start, max(event_time) as "end",
            count(*) as events, sum(copies)::bigint as rows,
            count(*) filter (event_type = '{VIEW}') as views,
            count(*) filter (event_type = '{CART}') as carts,
            count(*) filter (event_type = '{REMOVE}') as removals,
            count(*) filter (event_type = '{PURCHASE}') as purchases
        from events group by user_id, session_id
        """,
        events=events,
    )


def session_touches(events: Relation, max_events: int, max_products: int) -> Relation:
    """The products of each session, once each, by last touch.

    Parameters
    ----------
    events
        The events table, all events of a user.
    max_events
        The latest so many of a session are looked at: a crawler's session must not outweigh a thousand others.
    max_products
        The latest so many of these are kept.

    Returns
    -------
    Relation
        `TOUCH_SCHEMA`: `app.events.vocabulary.TOUCHES` are arrays of equal length, oldest first.
    """
    return fold(events, "user_id, session_id", max_events, max_products)


def fold(events: Relation, session: str, max_events: int, max_products: int) -> Relation:
    """Touches of events, by the columns that tell sessions apart; see `session_touches`."""
    latest = ", ".join(f"{name} desc" for name in SESSION_EVENT)
    return query(
        f"""
        with long as (select {session} from events group by {session} having count(*) > {max_events}),
        looked_at as (
            select * from events anti join long using ({session})
            union all
            -- only these are sorted: nearly all sessions are short
            select * from events semi join long using ({session})
            qualify row_number() over (partition by {session} order by {latest}) <= {max_events}
        ),
        touched as (
            select {session}, product_id, max(event_time) as touched_at,
                least(sum({RATED}), {MAX_RATING})::float as weight, max({KIND})::int as kind
            from looked_at group by {session}, product_id
        )
        select {session}, {touch_arrays("touched_at", "weight", max_products)} from touched group by {session}
        """,
        events=events,
    )


def touch_arrays(at: str, weight: str, n: int) -> str:
    """`TOUCHES` of rows with product_id and kind, the latest n, oldest first; an aggregate of SQL.

    `at` and `weight` are the columns of their time and weight.
    """
    # Sorted once, as rows: four lists that are sorted while they are gathered take three times as long.
    row = f"struct_pack(touched := {at}, product_id := product_id, kind := kind, weight := {weight})"
    rows = f"list_sort(list({row}))[-{n}:]"
    columns = {
        "product_ids": "x.product_id",
        "kinds": "x.kind",
        "weights": "x.weight",
        "times": "(epoch_us(x.touched) / 1e6)::double",
    }
    return ", ".join(f"list_transform({rows}, lambda x: {value}) as {name}" for name, value in columns.items())
