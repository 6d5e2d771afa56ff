"""Checkpoints that a query can't go on from."""

from pathlib import Path

from app.core.errors import InputError
from app.core.failures import conditions, failure_text
from app.stream.folders import StreamFolders

#: How Spark's conditions begin where what a checkpoint holds is not what the query needs.
REFUSED = (
    "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE",
    "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE",
    "STATE_STORE_COLUMN_FAMILY_SCHEMA_INCOMPATIBLE",
    "STATE_STORE_INVALID_VALUE_SCHEMA_EVOLUTION",
    "STATE_STORE_INVALID_CONFIG_AFTER_RESTART",
    "STATE_STORE_KEY_ROW_FORMAT_VALIDATION_FAILURE",
    "STATE_STORE_VALUE_ROW_FORMAT_VALIDATION_FAILURE",
    "STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA",
    "STREAMING_STATEFUL_OPERATOR_MISSING_STATE_DIRECTORY",
    "STREAMING_CHECKPOINT_MISSING_METADATA_FILE",
    "CANNOT_LOAD_STATE_STORE",
)
#: What Spark says without a condition, and what is the matter.
SAID = {
    "sources in the checkpoint offsets": "it read other sources",
    "Wrong basePath": "its landing folder was another; moved by mistake, it can be moved back",
}


def refusal(error: BaseException, checkpoint: Path, folders: StreamFolders) -> InputError | None:
    """What to do about a query that can't go on from its checkpoint; None if it failed for another reason."""
    found = [condition.name for condition in conditions(error) if condition.name.startswith(REFUSED)]
    text = failure_text(error)
    found += [meaning for said, meaning in SAID.items() if said in text]
    if not found:
        return None
    return InputError(
        f"checkpoint {checkpoint}: this stream cannot go on from it ({found[0]}); "
        f"move {folders.root} away and start again: the files in {folders.landing} are read anew, and the archive "
        "in the folder moved stays good for training"
    )
