"""What a checkpoint holds, and those from which a query can't go on."""

from pathlib import Path

from app.core.errors import InputError
from app.core.failures import checkpoint_refusal
from app.stream.folders import StreamFolders
from app.stream.sessions import KEYS

STATE_SCHEMA = "state/0/0/_metadata/schema"  #: Spark's, of the sessions: keys, then what is kept of each


def refusal(error: BaseException, checkpoint: Path, folders: StreamFolders) -> InputError | None:
    """What to do about a query that can't go on from its checkpoint; None if it failed for another reason."""
    reason = checkpoint_refusal(error)
    if reason is None:
        return None
    return InputError(
        f"checkpoint {checkpoint}: this stream cannot go on from it ({reason}); "
        f"move {folders.root} away and start again: the files in {folders.landing} are read anew, and the archive "
        "in the folder moved stays good for training"
    )


def session_keys(checkpoint: Path) -> tuple[str, ...]:
    """`KEYS` in the order that the sessions of a checkpoint were kept in; an earlier version had the window first."""
    try:
        schema = (checkpoint / STATE_SCHEMA).read_bytes()
    except FileNotFoundError:  # nothing is kept yet
        return KEYS
    return tuple(sorted(KEYS, key=lambda key: schema.find(f'"name":"{key}"'.encode())))
