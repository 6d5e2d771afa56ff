"""From the rows of a part to the events table: each event once, with its session and the parts of its time."""

from app.core.duck import Relation, query
from app.events.clean import CHOSEN_BY
from app.events.sessions import with_session_id

#: How the events of a part are stored.
STORED_ORDER = ("user_id", "event_time", "product_id", "event_type", "user_session")
_COLUMNS = """
    event_time, event_type, product_id, category_id, category_code,
    split_part(category_code, '.', 1) as main_category,
    brand, price, listed_price, user_id, user_session, quantity, user_key, product_key, event_id, order_id,
    recommendation_id,
    hour(event_time)::int as hour, minute(event_time)::int as minute, second(event_time)::int as second,
    day(event_time)::int as day, month(event_time)::int as month, (dayofweek(event_time) + 1)::int as dayofweek,
    event_time::date as date, date_trunc('hour', event_time) as hour_bucket, copies, session_id
"""


def events_table(rows: Relation, same: tuple[str, ...], idle_minutes: int) -> Relation:
    """The events table.

    Parameters
    ----------
    rows
        Of `app.events.clean.event_rows`, all of a user.
    same
        Columns that make two events the same: see `app.events.identity.identity`.
    idle_minutes
        See `app.events.sessions.with_session_id`.

    Returns
    -------
    Relation
        `app.events.schema.CLEANED_SCHEMA`, in `STORED_ORDER`.
    """
    events = with_session_id(distinct(rows, same), idle_minutes)
    return events.order(", ".join(STORED_ORDER)).select(_COLUMNS)  # fewer columns are sorted than are stored


def distinct(rows: Relation, same: tuple[str, ...]) -> Relation:
    """Each event once, with the number of its `copies`: of rows that differ, the greatest by `CHOSEN_BY`."""
    named = ", ".join(same)
    best = ", ".join(f"{name} desc nulls last" for name in CHOSEN_BY if name not in same)
    agree = " and ".join(f"once.{name} is not distinct from alike.{name}" for name in same)
    return query(
        f"""
        with once as materialized (select * from rows),
        alike as (select {named} from once group by {named} having count(*) > 1),
        doubled as (select once.* from once semi join alike on {agree})
        select once.* from once anti join alike on {agree}
        union all
        -- only these are sorted: nearly all rows are there once
        select * replace ((sum(copies) over alike)::bigint as copies) from doubled
        window alike as (partition by {named})
        qualify row_number() over (alike order by {best}) = 1
        """,
        rows=rows,
    )
