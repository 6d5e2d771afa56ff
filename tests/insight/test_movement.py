"""Movement between segments: a cross table by hand, of users known at both times."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, write
from app.insight.movement import moved
from app.insight.segments import Segmented
from app.serve.ragged import NONE, Ragged
from app.serve.segments import SegmentModel
from app.serve.users import UserTable
from app.serve.visits import Touches
from tests.handmade import relation

#: user -> segment then (-1: in none), segment now; None where the user is not known
USERS = {1: (0, 0), 2: (0, 0), 3: (0, 1), 4: (1, 2), 5: (1, 2), 6: (2, 1), 7: (None, 0), 8: (NONE, 1), 9: (2, None)}


def users_then(folder: Path) -> Path:
    """As a bundle remembers them; of nobody a history."""
    known = {user: then for user, (then, _) in USERS.items() if then is not None}
    nothing = Ragged(np.zeros(len(known) + 1, np.int64))
    empty = np.empty(0)
    touches = Touches(nothing, empty.astype(np.int32), empty.astype(np.int8), empty.astype(np.float32), empty)
    folder.mkdir()
    UserTable(
        np.array(sorted(known), np.int64),
        np.array([known[user] for user in sorted(known)], np.int32),
        touches,
        nothing,
        empty.astype(np.int32),
        empty.astype(np.int64),
    ).save(folder)
    return folder


def model(*names: str) -> SegmentModel:
    return SegmentModel([], [], [], [], list(names), 0.0)


def test_users_known_at_both_times_are_counted_by_segment(
    spark: SparkSession, duck: Connection, tmp_path: Path
) -> None:
    present = [(user, now) for user, (_, now) in USERS.items() if now is not None]
    (tmp_path / "now").mkdir()
    for part in range(2):
        rows = [row for row in present if row[0] % 2 == part]
        write(relation(duck, rows, "user_id bigint, segment_id int"), tmp_path / "now" / f"part-{part:05d}.parquet")
    # Segment 2 of today is segment 1 of then: their number had changed.
    now = Segmented(model("A", "B", "C"), (), tmp_path / "now", came_from=(0, None, 1))
    found = moved(spark, now, users_then(tmp_path / "then"), model("a", "b", "c"), "v1", tmp_path / "counts")
    assert found is not None
    assert [(move.was, move.segment, move.users) for move in found.moves] == [
        ("a", "A", 2),
        ("a", "B", 1),
        ("b", "C", 2),
        ("c", "B", 1),
    ]
    assert [move.share for move in found.moves] == pytest.approx([2 / 3, 1 / 3, 1, 1])
    assert (found.since, found.users, found.stayed, found.newcomers) == ("v1", 6, 4, 2)


def test_between_segments_of_other_features_nobody_moves(spark: SparkSession, tmp_path: Path) -> None:
    """As at the first training after an upgrade: all would seem to have left."""
    now = Segmented(model("A", "B"), (), tmp_path / "now", came_from=(None, None))
    assert moved(spark, now, tmp_path / "then", model("a", "b"), "v1", tmp_path / "counts") is None
