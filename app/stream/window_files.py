"""Window counts as files, one a day and epoch, and as points: a later count of a window replaces the earlier one."""

import os
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.core.files import link, replacing, sync, write_text
from app.events.archive_names import FIRST_EDITION_OFFSET, Epochs
from app.monitor.schema import EVENTS

WINDOW_KEY = ("start", "event_type", "main_category")
WINDOW_SCHEMA = pa.schema(
    [
        ("start", pa.timestamp("us", tz="UTC")),
        ("event_type", pa.string()),
        ("main_category", pa.string()),
        ("events", pa.int64()),
        ("revenue", pa.float64()),
    ]
)
#: Files of the first edition, which knew no epochs, are of epoch 0.
DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.e(\d+))?\.parquet$")
DAY_FORMAT = "%Y-%m-%d"
NOTHING = -2 * FIRST_EDITION_OFFSET  #: before every micro-batch, those of the first edition as well
Damaged = Callable[[Path, str], object]  #: gets a day's file that is damaged, and why
COUNTED = "_counted.e"  #: begins the name of the file that says up to which micro-batch an epoch has counted


def window_days(folder: Path, epoch: int) -> dict[str, Path]:
    """The files of an epoch, by day."""
    found = ((DAY.match(path.name), path) for path in folder.iterdir())
    return {name[1]: path for name, path in found if name and int(name[2] or 0) == epoch}


def day(start: int) -> str:
    """The day that a window is of, as in the name of its file."""
    return datetime.fromtimestamp(start / 1e6, UTC).strftime(DAY_FORMAT)


def read_windows(
    folder: Path, epochs: Epochs, starts: pa.Array | None = None, damaged: Damaged | None = None
) -> pa.Table:
    """All counts that stand, or those of some windows, as `WINDOW_SCHEMA`.

    `damaged` gets a day's file that can't be read, of which there are no counts then; without it an error is raised.
    """
    days = window_days(folder, epochs.latest)
    if starts is not None:
        wanted = set(pc.strftime(starts, DAY_FORMAT).to_pylist())
        days = {day: path for day, path in days.items() if day in wanted}
    tables = [read_whole(days[day], damaged) for day in sorted(days)]
    table = pa.concat_tables([WINDOW_SCHEMA.empty_table(), *tables])
    return table if starts is None else table.filter(pc.is_in(table["start"], starts))


def read_day(path: Path) -> pa.Table:
    """The counts in one of the files, as `WINDOW_SCHEMA`."""
    return pq.read_table(path, schema=WINDOW_SCHEMA)


def read_whole(path: Path, damaged: Damaged | None) -> pa.Table:
    """The counts in one of the files; none of a damaged one, which `damaged` gets.

    Raises
    ------
    OSError
        The system does not give it now; the error names the file.
    """
    try:
        return read_day(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # Arrow's own have no number
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        if damaged is None:
            raise
        damaged(path, str(error).splitlines()[0])
        return WINDOW_SCHEMA.empty_table()


def replace_windows(
    counts: pa.Table, starts: Collection[int], folder: Path, epoch: int, damaged: Damaged | None = None
) -> None:
    """Put counts in place of all that stood for these windows.

    Parameters
    ----------
    counts
        `WINDOW_SCHEMA`, of these windows alone.
    starts
        Of the windows, microseconds since 1970.
    folder, epoch
        Where, and of whom the files are.
    damaged
        Gets a file that can't be added to, and why, and moves it away; without it an error is raised.
    """
    counts = counts.select(WINDOW_SCHEMA.names).cast(WINDOW_SCHEMA)
    counted = pa.array(sorted(starts), pa.timestamp("us", tz="UTC"))
    days = pc.strftime(counts["start"], DAY_FORMAT)
    for day in sorted(set(pc.strftime(counted, DAY_FORMAT).to_pylist())):
        target = day_file(folder, day, epoch)
        new = counts.filter(pc.equal(days, day))
        if target.exists():
            old = read_whole(target, damaged)
            new = pa.concat_tables([old.filter(pc.invert(pc.is_in(old["start"], counted))), new])
        with replacing(target) as path:
            pq.write_table(new.sort_by([(name, "ascending") for name in WINDOW_KEY]), path)


def counted_up_to(folder: Path, epoch: int) -> int:
    """The last micro-batch whose events an epoch's files count."""
    try:
        return int(_counted_file(folder, epoch).read_text())
    except FileNotFoundError:
        return NOTHING


def note_counted(folder: Path, epoch: int, batch: int) -> None:
    """Remember that all events up to a micro-batch are counted."""
    write_text(_counted_file(folder, epoch), str(batch))


def take_over_windows(folder: Path, before: int, epoch: int, first: int) -> None:
    """Begin an epoch, whose first micro-batch is given, with the files of the one before."""
    for day, path in window_days(folder, before).items():
        copy = day_file(folder, day, epoch)
        copy.unlink(missing_ok=True)
        link(path, copy)
    sync(folder)
    note_counted(folder, epoch, min(counted_up_to(folder, before), first - 1))


def drop_lower_windows(folder: Path, epoch: int) -> None:
    """Delete the files of the epochs before one."""
    for name in os.listdir(folder):
        day = DAY.match(name)
        counted = name.removeprefix(COUNTED) if name.startswith(COUNTED) else None
        if (day and int(day[2] or 0) < epoch) or (counted is not None and counted.isdigit() and int(counted) < epoch):
            (folder / name).unlink(missing_ok=True)


def window_lines(counts: pa.Table) -> list[str]:
    """InfluxDB points of window counts, at the start of their window: a later count replaces an earlier."""
    frame = counts.select(WINDOW_SCHEMA.names).cast(WINDOW_SCHEMA).to_pandas()
    return EVENTS.lines(frame.rename(columns={"start": "time"}))


def day_file(folder: Path, day: str, epoch: int) -> Path:
    """The file of a day and an epoch."""
    return folder / f"{day}.e{epoch:06d}.parquet"


def _counted_file(folder: Path, epoch: int) -> Path:
    return folder / f"{COUNTED}{epoch:06d}"
