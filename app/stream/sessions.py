"""Sessions in flight, kept by Spark's own aggregation."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.events.identity import OWN_SESSION, SESSION_EVENT, identity
from app.events.layout import layout_of
from app.stream.source import ARRIVED

#: The micro-batch's own time: separates what is new in it from history. It comes with the events and not from
#: `current_timestamp`, which Spark writes as a constant into the code it generates: it would compile all of the reading
#: again, and run it cold, in every micro-batch.
SEEN = "seen_at"
#: What is kept of an event, in the order in which events of a session are sorted.
EVENT_FIELDS = (*SESSION_EVENT, SEEN, ARRIVED)
EVENT_ID = "event_id"  #: kept as well where it is what makes an event the same
WINDOW = "window"
#: What distinguishes sessions, in the order in which Spark sorts them, four times in a micro-batch: by a number first,
#: which it compares quickly, and by the window last, a struct, for whose every comparison it makes objects anew.
KEYS = ("user_id", "session", WINDOW)


def live_sessions(events: DataFrame, settings: Settings, keys: tuple[str, ...] = KEYS) -> DataFrame:
    """The latest events of each session that changed, in update mode.

    A session without an id is the user's, within the window. Windows are cut by event time, and
    evicted once the watermark has passed their end; an event that comes later than that is dropped
    here (the archive keeps it). Out-of-order events are sorted; an event that comes twice is
    dropped by the scorer.

    Parameters
    ----------
    events
        `app.stream.intake.HANDED_ON`; `session_key` defines their session.
    settings
        Bounds of a session, layout.
    keys
        `KEYS`, in the order in which the checkpoint has them: see `app.stream.checkpoints.session_keys`.

    Returns
    -------
    DataFrame
        Streaming; window, user_id, session, events (array of struct `EVENT_FIELDS`, latest first, at most
        `session_max_events`), `given` (boolean: whether the session has an id of its own) and, where ids are text,
        user_key.
    """
    layout = layout_of(settings)
    event = F.struct(*EVENT_FIELDS, *(name for name in identity(layout) if name == EVENT_ID))
    window = F.window("event_time", f"{settings.session_window_hours} hours")
    # Kept only where ids are text: what a checkpoint holds must not change for other shops.
    own = [F.max("user_key").alias("user_key")] if layout.ids == "text" else []
    return (
        events.withWatermark("event_time", f"{settings.watermark_minutes} minutes")
        .groupBy(*(window.alias(WINDOW) if key == WINDOW else F.col(key) for key in keys))
        .agg(F.max_by(event, event, settings.session_max_events).alias("events"), *own)
        .withColumn("given", ~F.col("session").startswith(OWN_SESSION))
    )


def session_key() -> Column:
    """Column that distinguishes the sessions of a user: the id of an event's session, or a key of the user's own."""
    return F.coalesce("user_session", F.concat(F.lit(OWN_SESSION), F.col("user_id").cast("string")))
