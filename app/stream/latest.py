"""Which session each user was last seen in: what scoring a micro-batch needs to know from its intake.

A user gets one list a micro-batch, of the session with the latest event, and sessions of one user lie in
different partitions of the state. Bringing them together again would cost Spark a shuffle, a sort and a stage of
tasks for every micro-batch. Instead, each part of the intake writes the latest event of each of its users to a small
file beside what it archives, and all of these are there before the first session is scored.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather

from app.core.files import replacing
from app.serve.ragged import first_of_each
from app.stream.lateness import Lateness
from app.stream.source import ARRIVED

LATEST = "_latest-"  #: begins the names of the files
#: In this order the greatest of a user's events is the latest. Ties go to the greater id; the choice is arbitrary but
#: must be stable.
ORDER = ("event_time", ARRIVED, "session")
PENDING = 65_536  #: rows held before they are reduced


class LatestEvents:
    """The latest event of each user among those that one part of the intake passes on."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, events: pa.RecordBatch) -> None:
        """Rows with columns of `app.stream.intake.HANDED_ON`."""
        self._tables.append(pa.Table.from_batches([events.select(["user_id", *ORDER])]))
        self._rows += len(events)
        if self._rows > PENDING:
            self._tables = [_latest(pa.concat_tables(self._tables))]
            self._rows = 0

    def write(self, folder: Path, partition: int) -> None:
        """Write them, whole: a part that is done again may be read meanwhile."""
        if self._tables:
            latest = _latest(pa.concat_tables(self._tables))
            with replacing(folder / f"{LATEST}{partition:05d}.arrow", lasting=False) as path:
                feather.write_feather(latest, str(path), compression="uncompressed")


@dataclass(frozen=True)
class LatestSessions:
    """The latest event of each of n users in a micro-batch: `users` (n,) ascending, `times` and `sessions` (n,)."""

    users: NDArray[np.int64]
    times: pa.ChunkedArray
    sessions: pa.ChunkedArray

    @classmethod
    def read(cls, folder: Path) -> "LatestSessions":
        """From all parts of a micro-batch of which there are any."""
        tables = [feather.read_table(path) for path in sorted(folder.glob(f"{LATEST}*.arrow"))]
        latest = _latest(pa.concat_tables(tables))
        return cls(latest["user_id"].to_numpy(), latest["event_time"], latest["session"])

    @classmethod
    def on_time(cls, folder: Path, lateness: Lateness) -> int:
        """How many users of a micro-batch must get a list: those whose latest event is not too late."""
        if not any(folder.glob(f"{LATEST}*.arrow")):
            return 0
        return int((~lateness.late(cls.read(folder).times)).sum())

    def are_current(self, sessions: pa.RecordBatch) -> NDArray[np.bool_]:
        """Whether rows of `app.stream.sessions.live_sessions` are those that their users are in now (m,)."""
        place = pa.array(np.searchsorted(self.users, sessions["user_id"].to_numpy()))
        time, window = self.times.take(place), sessions["window"]
        here = pc.and_(pc.greater_equal(time, window.field("start")), pc.less(time, window.field("end")))
        same = pc.equal(self.sessions.take(place), sessions["session"])
        current: NDArray[np.bool_] = pc.and_(here, same).to_numpy()
        return current


def clear(folder: Path) -> None:
    """Delete the files, once all is scored."""
    for path in folder.glob(f"{LATEST}*.arrow"):
        path.unlink()


def _latest(events: pa.Table) -> pa.Table:
    """The latest row of each user, by user."""
    events = events.sort_by([("user_id", "ascending"), *((name, "descending") for name in ORDER)])
    return events.take(pa.array(first_of_each(events["user_id"].to_numpy())))
