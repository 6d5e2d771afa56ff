"""What the stream does about forgotten users: sessions and list files without them, and a marker of what is done.

It also marks from when on no session is kept under the old id of a merged user.
"""

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.core.errors import is_away
from app.core.files import write_text
from app.core.part import Part
from app.core.settings import Settings
from app.events.forgotten import Forgotten
from app.events.ids import number_of
from app.events.merged import Merged
from app.serve.ragged import Ragged
from app.stream.epoch import newest_number
from app.stream.folders import StreamFolders
from app.stream.list_files import csv_of, parts, rewrite
from app.stream.taken_out import read_or_delete

MARKER = "forgotten.json"
SETTLED_SECONDS = 300.0  #: a micro-batch that was under way at a forgetting has written its lists by then
RETAINED = 10  #: micro-batches whose state Spark keeps (`spark.sql.streaming.minBatchesToRetain`)
MICROS = 1_000_000
FIRST = -(2**63)
SECONDS_AT_ONCE = 5.0  #: so long the rest of the housekeeping waits; what is left is looked at the next time
NEVER = (0.0, 0)  #: of a file that was not looked at


class Marker(Part):
    """Forgettings up to these moments (microseconds since 1970) are done with: in list files, in the state, in the
    archive, in rejected rows.

    In the state, merges too.
    """

    lists: int = 0
    state: int = 0
    archive: int = 0
    rejected: int = 0


def read_marker(folders: StreamFolders) -> Marker:
    """How far the stream is."""
    try:
        return Marker.model_validate_json((folders.root / MARKER).read_text())
    except (FileNotFoundError, ValueError):
        return Marker()


def write_marker(folders: StreamFolders, **moments: int) -> None:
    """Note how far the stream is with some of it."""
    before = read_marker(folders)
    marker = before.model_copy(update=moments)
    if marker != before:
        write_text(folders.root / MARKER, marker.model_dump_json())


def settled(forgotten: Forgotten) -> Forgotten:
    """Those from before whose forgetting nothing can be under way any more."""
    until = round((time.time() - SETTLED_SECONDS) * MICROS)
    return Forgotten(
        forgotten.salt, {digest: moment for digest, moment in forgotten.moments.items() if moment <= until}
    )


class ListCleaner:
    """Takes forgotten users out of list files, and marks what is done.

    Parameters
    ----------
    folders
        Of the stream.
    settings
        Length of a session's window.
    """

    def __init__(self, folders: StreamFolders, settings: Settings):
        self._folders, self._window = folders, settings.session_window_hours * 3600 * MICROS
        self._version = 0  # of what is pending: higher whenever something has come to it
        self._since: dict[tuple[str, int], int] = {}  # forgettings that are pending, by the version they came with
        self._looked: dict[str, tuple[float, int]] = {}  # when a file was changed, and the version looked for

    def run(self, forgotten: Forgotten, merged: Merged, checkpoint: Path) -> None:
        """Rewrite for some seconds what holds lists from before a forgetting that isn't marked as done."""
        before = read_marker(self._folders)
        pending = {digest: moment for digest, moment in forgotten.moments.items() if moment > before.lists}
        latest = before.lists
        if pending:
            latest = min(self._rewrite(Forgotten(forgotten.salt, pending)), settled(forgotten).latest)
        evicted = evicted_until(checkpoint, self._window)
        changes = (*forgotten.moments.values(), *(merge.at for merge in merged.merges.values()))
        state = max((moment for moment in changes if moment <= evicted), default=before.state)
        write_marker(self._folders, lists=max(latest, before.lists), state=max(state, before.state))

    def _rewrite(self, forgotten: Forgotten) -> int:
        """Up to which moment nothing is left; files that were looked at longest ago come first."""
        pending = forgotten.moments.items()
        self._version += not pending <= self._since.keys()
        self._since = {item: self._since.get(item, self._version) for item in pending}
        looked, self._looked = self._looked, {}
        until, late = time.monotonic() + SECONDS_AT_ONCE, False
        names = (name for _, _, name in parts(self._folders.lists))
        for name in sorted(names, key=lambda name: looked.get(name, NEVER)[1]):
            path, seen = self._folders.lists / name, looked.get(name, NEVER)
            try:
                if not late and seen != (path.stat().st_mtime, self._version):
                    self._look(path, forgotten)
                    seen = path.stat().st_mtime, self._version
                    late = time.monotonic() > until
            except FileNotFoundError:  # pruned meanwhile
                continue
            except OSError as error:  # the accounts tell of it; the others are looked at all the same
                if not is_away(error):
                    raise
            self._looked[name] = seen
        oldest = min((version for _, version in self._looked.values()), default=self._version)
        missed = [moment - 1 for (_, moment), version in self._since.items() if version > oldest]
        return min(missed, default=forgotten.latest)

    def _look(self, path: Path, forgotten: Forgotten) -> None:
        lists = read_or_delete(path)
        kept = without(lists, forgotten) if lists is not None else None
        if kept is not None and lists is not None and len(kept) < len(lists):
            rewrite(kept, len(lists) - len(kept), path, self._folders.csv / csv_of(path.name))


def without(lists: pa.Table, forgotten: Forgotten) -> pa.Table:
    """Lists without those that forgotten users had before."""
    users = lists["user_id"].unique()
    shown = users.to_pylist()
    numbers = {user: number for user in shown if (number := number_of(user, isinstance(user, str))) is not None}
    theirs = forgotten.among(numbers.values())
    for user, number in numbers.items():
        if number in theirs:
            moment = pa.scalar(theirs[number], pa.timestamp("us", tz="UTC"))
            old = pc.and_(pc.equal(lists["user_id"], user), pc.less_equal(lists["generated_at"], moment))
            lists = lists.filter(pc.invert(old))
    return lists


def evicted_until(checkpoint: Path, window: int) -> int:
    """Up to which event time, in microseconds since 1970, no session is kept, by the watermark of the oldest state."""
    offsets = checkpoint / "offsets"
    number = newest_number(offsets) - RETAINED if offsets.is_dir() else -1
    try:
        line = (offsets / str(number)).read_text().splitlines()[1]
        return int(json.loads(line)["batchWatermarkMs"]) * 1000 - window
    except (FileNotFoundError, IndexError, KeyError, ValueError):
        return 0


def of_forgotten(batch: pa.RecordBatch, forgotten: Forgotten) -> pa.Array:
    """Which rows (n,) are of users who were forgotten later; of a row without a time nothing else is known."""
    theirs = np.zeros(len(batch), np.bool_)
    if not forgotten:
        return pa.array(theirs)
    users = batch["user_id"]
    moments = batch["event_time"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    for user, until in forgotten.among(users.unique().drop_null().to_pylist()).items():
        before = pc.fill_null(pc.less_equal(moments, until), True)
        theirs |= pc.fill_null(pc.and_(pc.equal(users, user), before), False).to_numpy(zero_copy_only=False)
    return pa.array(theirs)


def without_earlier(sessions: pa.RecordBatch, forgotten: Forgotten) -> pa.RecordBatch:
    """Rows of `app.stream.sessions.live_sessions` without events from before their users were forgotten."""
    theirs = forgotten.among(sessions["user_id"].unique().to_pylist()) if forgotten else {}
    if not theirs:
        return sessions
    lists = sessions["events"]
    rows = Ragged.of_lists(lists).rows()
    moments = lists.flatten().field("event_time").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    until = np.array([theirs.get(user, FIRST) for user in sessions["user_id"].to_pylist()], np.int64)
    kept = moments.to_numpy(zero_copy_only=False) > until[rows]
    lengths = np.bincount(rows[kept], minlength=len(sessions))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    events = pa.ListArray.from_arrays(offsets, lists.flatten().filter(pa.array(kept)))
    place = sessions.schema.get_field_index("events")
    return sessions.set_column(place, sessions.schema.field(place), events.cast(lists.type)).filter(
        pa.array(lengths > 0)
    )
