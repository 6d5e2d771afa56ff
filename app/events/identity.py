"""What makes two events the same, and what ends a session that has no id: for SQL and arrays alike."""

from typing import Any

from app.events.layout import Layout

#: Two rows that agree in these are one event that was written twice.
IDENTITY = ("event_time", "event_type", "product_id", "user_id", "user_session")
BY_ID = ("event_id",)  #: the same, where the shop gives each event an id
#: Those of `IDENTITY` that tell events of one session apart, in the order by which these are sorted.
SESSION_EVENT = ("event_time", "product_id", "event_type")
#: Begins the id of a session that was given none, which is then the user's own; given ids are trimmed, so none does.
OWN_SESSION = " "


def identity(layout: Layout) -> tuple[str, ...]:
    """Columns of the events table that make an event the same."""
    return BY_ID if layout.columns.event_id else IDENTITY


def ends_session(gap_seconds: Any, idle_minutes: int) -> Any:
    """Whether a user without a session id was idle for so long that the next event begins a new session.

    Parameters
    ----------
    gap_seconds
        Whole seconds from the user's event before to this one: an array or an expression of SQL.
    idle_minutes
        `Settings.session_idle_minutes`; a gap of exactly so long does not end a session.

    Returns
    -------
    ndarray of bool or Expression
        As `gap_seconds`.
    """
    return gap_seconds > idle_minutes * 60
