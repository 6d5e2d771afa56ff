"""Movement: in which segment users were when the bundle in use was trained, against the one they are in now."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from app.core import duck
from app.core.parts import Part, by_part, part_files, read_table
from app.insight.results import Move, Movement
from app.insight.segments import Segmented
from app.serve.ragged import NONE
from app.serve.segments import SegmentModel
from app.serve.users import UserTable


def moved(
    spark: SparkSession, now: Segmented, users: Path, model: SegmentModel, version: str, folder: Path
) -> Movement | None:
    """How users known at both times moved; None where no segment of today was there before.

    Parameters
    ----------
    spark
        Session.
    now
        The present segmentation.
    users
        Folder of the earlier bundle's `UserTable`, on a disk that driver and executors share.
    model, version
        Of the earlier bundle.
    folder
        For the counts, on such a disk as well.
    """

    if all(was is None for was in now.came_from):
        return None

    def count(part: Part) -> None:
        present = part.read(now.users).fetchnumpy()
        known = UserTable.load(users)
        places = known.positions(present["user_id"])
        was = np.full(len(places), NONE, np.int32)
        was[places != NONE] = known.segments[places[places != NONE]]
        cells, counts = np.unique(np.column_stack([was, present["segment_id"]]), axis=0, return_counts=True)
        table = pa.table({"was": cells[:, 0], "segment_id": cells[:, 1], "users": counts})
        part.write("moves", part.connection.from_arrow(table))

    folder.mkdir(parents=True)
    by_part(spark, len(part_files(now.users)), count, folder)
    with duck.connect(folder) as connection:
        counted = read_table(connection, folder / "moves").aggregate("was, segment_id, sum(users)::bigint")
        rows = counted.order("was, segment_id").fetchall()
    known = [(was, segment, users) for was, segment, users in rows if was != NONE]
    each = {was: sum(users for other, _, users in known if other == was) for was, _, _ in known}
    return Movement(
        since=version,
        users=sum(each.values()),
        stayed=sum(users for was, segment, users in known if now.came_from[segment] == was),
        newcomers=sum(users for was, _, users in rows if was == NONE),
        moves=tuple(
            Move(
                was_id=was,
                was=model.names[was],
                segment_id=segment,
                segment=now.model.names[segment],
                users=users,
                share=users / each[was],
            )
            for was, segment, users in known
        ),
    )
