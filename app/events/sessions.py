"""Sessions: by the given id, or by idle time where none is given."""

from duckdb import ColumnExpression

from app.core.duck import Relation, query
from app.events.identity import OWN_SESSION, SESSION_EVENT, ends_session


def with_session_id(events: Relation, idle_minutes: int) -> Relation:
    """Events with `session_id`: `user_session`, or user and number of the visit where it is null.

    Parameters
    ----------
    events
        Columns of the events table; all events of a user.
    idle_minutes
        Idle time that ends a session without a given id: see `app.events.identity.ends_session`.
    """
    ended, order = ends_session(ColumnExpression("gap"), idle_minutes), ", ".join(SESSION_EVENT)
    return query(
        f"""
        with once as materialized (select * from events),
        idle as (
            select *, {ended} as ended from (
                select *, date_diff('second', lag(event_time) over visits, event_time) as gap from once
                where user_session is null
                window visits as (partition by user_id order by {order})
            )
        ),
        numbered as (
            select * exclude (gap, ended), 1 + count(*) filter (ended) over (
                partition by user_id order by {order} rows unbounded preceding
            ) as visit from idle
        )
        select *, user_session as session_id from once where user_session is not null
        union all by name
        select * exclude (visit), '{OWN_SESSION}' || user_id || '-' || visit as session_id from numbered
        """,
        events=events,
    )
