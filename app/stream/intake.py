"""Reads each arriving row once: archives it and passes it to the sessions.

Spark runs a streaming query from its source to a single sink, and a separate query for the archive would read
and parse every file a second time. So the function here sits between the two: it writes the rows of a
partition as files, and passes on the columns that a session needs. The folder it writes to is a local
property of the job that runs it; the driver moves that folder into place when all parts are there
(`app.stream.archive`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import SparkContext, TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.core.files import write_text
from app.core.worker_heap import settle
from app.events.archive import ARCHIVE_SCHEMA
from app.events.canonical import CORRUPT, LEFT_OUT, ROW_TEXT, SOURCE_FILE
from app.events.category import main_category
from app.events.forgotten import NOBODY, Forgotten, ForgottenUsers
from app.events.merged import NOBODY_MERGED
from app.events.merged_users import merged_users
from app.events.revenue import revenue_cents
from app.events.schema import REJECTED_SCHEMA
from app.stream.forgetting import of_forgotten
from app.stream.lateness import HOUR, Lateness
from app.stream.latest import LatestEvents
from app.stream.merging import as_survivors
from app.stream.rows_file import RowsFile
from app.stream.sessions import SEEN, session_key
from app.stream.source import ARRIVED

#: Local properties of a job: the folder that its parts are written to, the time of its micro-batch (microseconds since
#: 1970), and what is late in it.
STAGING, MOMENT, LATENESS = "vitrine.stream.staging", "vitrine.stream.moment", "vitrine.stream.lateness"
NOTHING_LATE = Lateness(0, HOUR)
REJECTED = "rejected"  #: folder in it
CENTS = "cents"
COUNTS = "_part-"  #: begins the names of the files that count what a part holds
LOCAL = "^file:/+"  #: Spark writes an address of this machine with one slash or three
GATHERED = 2_000  #: rows taken in at a time
MINUTE = 60_000_000  #: microseconds

#: What is passed on, with the types and names of `app.events.clean.parse`, and its `session_key` as `session`.
HANDED_ON = T.StructType(
    [
        T.StructField("event_time", T.TimestampType()),
        T.StructField("event_type", T.StringType()),
        T.StructField("product_id", T.LongType()),
        T.StructField("user_id", T.LongType()),
        T.StructField("session", T.StringType()),
        T.StructField("user_key", T.StringType()),
        T.StructField("event_id", T.StringType()),
        T.StructField(ARRIVED, T.TimestampType()),
        T.StructField(SEEN, T.TimestampType(), False),
    ]
)


Window = tuple[int, str, str]


@dataclass
class PartCounts:
    """Rows of a part, or of several: `rows` = `archived` + `rejected` + `left_out` + `known`.

    `left_out`: by a rule of the layout, or of a forgotten user. `known`: archived by the previous version. `sums`: of
    the archived events, copies among them: (start of the window in microseconds since 1970, event type, main category)
    → events, and revenue in hundredths of the shop's currency.
    """

    rows: int = 0
    archived: int = 0
    rejected: int = 0
    left_out: int = 0
    known: int = 0
    sums: dict[Window, tuple[int, int]] = field(default_factory=dict)
    late: int = 0
    files: set[str] = field(default_factory=set)

    @property
    def windows(self) -> list[int]:
        """Starts of all windows."""
        return sorted({start for start, _, _ in self.sums})

    def add(self, other: "PartCounts") -> None:
        """Take in those of another part."""
        self.rows += other.rows
        self.archived += other.archived
        self.rejected += other.rejected
        self.left_out += other.left_out
        self.known += other.known
        self.late += other.late
        self.files |= other.files
        self.count(other.sums)

    def count(self, sums: Mapping[Window, tuple[int, int]]) -> None:
        """Add sums of windows."""
        for key, (events, cents) in sums.items():
            before = self.sums.get(key, (0, 0))
            self.sums[key] = before[0] + events, before[1] + cents

    def to_json(self) -> str:
        return json.dumps(vars(self) | {"sums": [*self.sums.items()], "files": [*self.files]})

    @classmethod
    def from_json(cls, text: str) -> "PartCounts":
        flat = json.loads(text)
        sums = {tuple(key): tuple(sums) for key, sums in flat["sums"]}
        return cls(**flat | {"sums": sums, "files": {*flat["files"]}})


def set_job_properties(context: SparkContext, staging: Path, moment: int, lateness: Lateness = NOTHING_LATE) -> None:
    """Set, for the jobs that this thread starts, where they write, the time of their micro-batch and what is late."""
    context.setLocalProperty(STAGING, str(staging))
    context.setLocalProperty(MOMENT, str(moment))
    context.setLocalProperty(LATENESS, str(lateness))


def take_in(
    events: DataFrame, window_minutes: int, known: frozenset[str] = frozenset(), output: Path | None = None
) -> DataFrame:
    """Events of `app.stream.source.event_stream`, archived where `set_job_properties` has set a folder.

    Parameters
    ----------
    events
        Columns of `parse` and `arrived_at`.
    window_minutes
        Length of the windows of `PartCounts`.
    known
        URIs of files whose rows are in the archive already.
    output
        Whose forgotten users' earlier rows are left out, and whose merged users' rows are handed on, though not
        archived, as their survivors'; without one nobody was forgotten or merged.

    Returns
    -------
    DataFrame
        `HANDED_ON`; events alone.
    """
    row = F.coalesce(CORRUPT, ROW_TEXT).alias("row")
    price = F.col("listed_price").alias("price")
    archived = [price if name == "price" else F.col(name) for name in ARCHIVE_SCHEMA.fieldNames()]
    counted = (main_category(), F.coalesce(revenue_cents(), F.lit(0)).alias(CENTS))
    session = session_key().alias("session")
    rows = events.select(*archived, session, "reason", LEFT_OUT, row, SOURCE_FILE, ARRIVED, *counted)
    paths = sorted(re.sub(LOCAL, "/", name) for name in known)
    return rows.mapInArrow(Intake(window_minutes, paths, output), HANDED_ON)


@dataclass(frozen=True)
class Intake:
    """The function that `mapInArrow` runs; see `take_in`. `known` are paths."""

    window_minutes: int
    known: list[str]
    output: Path | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        staging, moment, late = (context.getLocalProperty(name) for name in (STAGING, MOMENT, LATENESS))
        if staging is None or moment is None or late is None:
            raise RuntimeError(f"a job over the stream's events without {STAGING}, {MOMENT} and {LATENESS}")
        seen, lateness = pa.scalar(int(moment), pa.timestamp("us", tz="UTC")), Lateness.parse(late)
        forgotten = NOBODY if self.output is None else ForgottenUsers(self.output).read()
        merged = NOBODY_MERGED if self.output is None else merged_users(self.output).read()
        with _writing(Path(staging), context.partitionId(), self.window_minutes * MINUTE) as part:
            for batch in _gathered(batches):
                events = as_survivors(self._take(part, batch, forgotten), merged)
                part.latest.add(events)
                part.counts.late += int(lateness.late(events["event_time"]).sum())
                yield events.append_column(SEEN, pa.repeat(seen, len(events)))
        settle()

    def _take(self, part: "_Part", batch: pa.RecordBatch, forgotten: Forgotten) -> pa.RecordBatch:
        is_left_out = pc.or_(pc.is_valid(batch[LEFT_OUT]), of_forgotten(batch, forgotten))
        is_rejected = pc.and_(pc.is_valid(batch["reason"]), pc.invert(is_left_out))
        events = batch.filter(pc.invert(pc.or_(is_left_out, is_rejected)))
        new = events
        if self.known:
            paths = pc.replace_substring_regex(events[SOURCE_FILE], LOCAL, "/")
            new = events.filter(pc.invert(pc.is_in(paths, pa.array(self.known))))
        part.counts.rows += len(batch)
        part.counts.files.update(batch[SOURCE_FILE].unique().to_pylist())
        part.counts.left_out += pc.sum(is_left_out).as_py() or 0
        part.counts.known += len(events) - len(new)
        part.write(new, batch.filter(is_rejected))
        return events.select([name for name in HANDED_ON.fieldNames() if name != SEEN])


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in fewer batches, each of which costs some milliseconds."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= GATHERED:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


@contextmanager
def _writing(staging: Path, partition: int, window: int) -> Iterator["_Part"]:
    """The files of one partition; there, with what they hold, once the block has ended well."""
    name = f"part-{partition:05d}.parquet"
    with ExitStack() as files:
        part = _Part(RowsFile(staging / name, files), RowsFile(staging / REJECTED / name, files), window)
        yield part
        part.close()
    part.latest.write(staging, partition)
    write_text(staging / f"{COUNTS}{partition:05d}.json", part.counts.to_json(), lasting=False)


class _Part:
    def __init__(self, events: RowsFile, rejected: RowsFile, window: int):
        self.counts = PartCounts()
        self.latest = LatestEvents()
        self._events, self._rejected, self._window = events, rejected, window

    def write(self, events: pa.RecordBatch, rejected: pa.RecordBatch) -> None:
        self.counts.archived += len(events)
        self.counts.rejected += len(rejected)
        self._events.add(events.select(ARCHIVE_SCHEMA.fieldNames()))
        self._rejected.add(rejected.select(REJECTED_SCHEMA.fieldNames()))
        self.counts.count(_sums(events, self._window))

    def close(self) -> None:
        self._events.close()
        self._rejected.close()


def _sums(events: pa.RecordBatch, window: int) -> dict[Window, tuple[int, int]]:
    table = pa.table(
        {
            "start": window_starts(events["event_time"], window),
            "event_type": events["event_type"],
            "main_category": events["main_category"],
            CENTS: events[CENTS],
        }
    )
    keys = ["start", "event_type", "main_category"]
    rows = table.group_by(keys).aggregate([(CENTS, "sum"), ([], "count_all")]).to_pylist()
    return {tuple(row[name] for name in keys): (row["count_all"], row[f"{CENTS}_sum"]) for row in rows}


def window_starts(times: pa.Array, window: int) -> NDArray[np.int64]:
    """Start of the window of so many microseconds that each time lies in."""
    micros = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    starts: NDArray[np.int64] = micros // window * window
    return starts
