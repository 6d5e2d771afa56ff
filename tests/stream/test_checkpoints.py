"""What a checkpoint holds."""

import tarfile
from pathlib import Path

from app.stream.checkpoints import STATE_SCHEMA, session_keys
from app.stream.sessions import KEYS

GOLDEN = Path(__file__).parents[1] / "golden" / "edition_2" / "stream.tar.xz"


def test_keys_of_sessions_are_in_the_checkpoints_order(tmp_path: Path) -> None:
    assert session_keys(tmp_path) == KEYS == ("user_id", "session", "window")
    with tarfile.open(GOLDEN) as packed:  # of before there was another order
        packed.extractall(tmp_path, filter="data")
    (schema,) = (tmp_path / "checkpoint").glob(f"*/lists/{STATE_SCHEMA}")
    assert session_keys(schema.parents[4]) == ("window", "user_id", "session")
