"""What the stream does about merged users: their events are handed on as those of the users whose they are now."""

import pyarrow as pa
import pyarrow.compute as pc

from app.events.identity import OWN_SESSION
from app.events.merged import Merged


def as_survivors(events: pa.RecordBatch, merged: Merged) -> pa.RecordBatch:
    """Events with the ids of survivors; a session without an id is the survivor's own.

    Parameters
    ----------
    events
        user_id, user_key and session of `app.stream.intake.HANDED_ON`, beside others.
    merged
        The list.
    """
    users = events["user_id"].to_numpy()
    survivors = merged.survivors_of(users)
    moved = survivors != users
    if not moved.any():
        return events
    is_moved, ends = pa.array(moved), survivors.tolist()
    keys = pa.array([merged.keys.get(user) for user in ends], pa.string())
    own = pa.array([f"{OWN_SESSION}{user}" for user in ends], pa.string())
    columns = {
        "user_id": pa.array(survivors),
        "user_key": pc.if_else(pc.and_(is_moved, pc.is_valid(events["user_key"])), keys, events["user_key"]),
        "session": pc.if_else(
            pc.and_(is_moved, pc.starts_with(events["session"], OWN_SESSION)), own, events["session"]
        ),
    }
    for name, column in columns.items():
        place = events.schema.get_field_index(name)
        events = events.set_column(place, events.schema.field(place), column)
    return events
