"""Plays an event file into the landing folder as if it happened now; resumable after a kill.

How nothing is lost or doubled: each file is written under a hidden name, then the state is replaced
by one that counts the file as landed and names it, then the file is renamed. After a kill, a hidden
file that the state names is renamed; any other hidden file was not counted and is written anew. A
file is thus never landed twice, even if the stream has read and removed it meanwhile.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from app.core.errors import InputError
from app.core.files import sync, write_text
from app.events.layout import REES46, Layout
from app.events.times import ISO
from app.stream.replay_files import NOT_A_TIME, Events, Times, open_events

MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILE_ROWS = 50_000  # most rows of a landed file, so that memory stays bounded at any speed
NAP_SECONDS = 0.2  # longest sleep, so that a stop is soon noticed


@dataclass(frozen=True)
class Position:
    """How far a replay has come; what the state file holds."""

    run: str  # first part of the landed files' names
    files: int = 0
    rows: int = 0
    elapsed: int = 0  # microseconds of event time played, long gaps capped
    event_time: int | None = None  # of the last row, microseconds since 1970


@dataclass(frozen=True)
class ReplaySummary:
    """How far a replay has come, in all and in this run."""

    files: int
    rows: int
    event_time: datetime | None  # of the last row landed (UTC)
    run_rows: int  # landed since this process started
    run_seconds: float
    stopped: bool = False  # by the stop event, before the end

    @property
    def events_per_second(self) -> float:
        """Rows landed a second, in this run."""
        return self.run_rows / self.run_seconds if self.run_seconds > 0 else 0.0


@dataclass(frozen=True)
class Pace:
    """When a row is due: event time divided by `speed`, or row number divided by `rate`."""

    speed: float | None
    rate: float | None
    tick_seconds: float
    max_gap_seconds: float | None

    def elapsed(self, times: Times, start: Position) -> Times:
        """Event time played up to each row: whole microseconds, so that a resumed run counts alike."""
        before = times[0] if start.event_time is None else start.event_time
        gap = np.maximum(np.diff(times, prepend=before), 0)
        if self.max_gap_seconds is not None and self.speed is not None:
            gap = np.minimum(gap, int(self.max_gap_seconds * self.speed * MICROSECONDS))
        return start.elapsed + np.cumsum(gap)

    def ticks(self, elapsed: Times, rows_before: int) -> Times:
        """The tick that each row belongs to, from 0."""
        if self.speed is not None:
            return elapsed // max(1, round(self.speed * self.tick_seconds * MICROSECONDS))
        row = rows_before + np.arange(len(elapsed))
        return np.floor(row / ((self.rate or 1.0) * self.tick_seconds)).astype(np.int64)


def replay(
    source: str,
    landing: Path,
    *,
    state: Path,
    speed: float | None = None,
    rate: float | None = None,
    tick_seconds: float = 1.0,
    max_gap_seconds: float | None = None,
    limit: int | None = None,
    until: datetime | None = None,
    layout: Layout = REES46,
    run: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
    progress: Callable[[ReplaySummary], Any] | None = None,
    stop: Event | None = None,
) -> ReplaySummary:
    """Play a time-sorted event log into a folder, one small file a tick, in the log's own format.

    Order and gaps are kept; an event whose time lies before its predecessor's follows at once. When
    the disk is slower than the pace, files follow each other without a pause and none is dropped.
    Called again with the same state it goes on where it stopped, and at the end does nothing.

    Parameters
    ----------
    source
        Local CSV (plain or gzip) or Parquet: file, folder or glob.
    landing
        Folder that the stream watches; made if missing. Files appear by rename, as
        `<run>-<number>.csv` or `.parquet`; until then their names begin with a dot.
    state
        JSON file that remembers how far the replay has come.
    speed, rate
        One of the two: event time over real time, or events a second.
    tick_seconds
        Real time between files; a tick without events writes none.
    max_gap_seconds
        Longest real time without events; longer gaps are cut to it (with `speed`).
    limit, until
        Stop after so many rows of the log, or before the first event at or after a time (naive is UTC).
    layout
        Where the log's times stand, and how they are written.
    run
        First part of the files' names, by default the time of the first start; kept by the state.
    clock, sleep
        Seconds, as `time.monotonic` and `time.sleep`.
    progress
        Called after each landed file.
    stop
        Ends the replay, once set, between two files.

    Raises
    ------
    InputError
        No such source, no rows, speed and rate both or neither given, a number out of range, or a
        state of another replay.
    """
    pace = _pace(speed, rate, tick_seconds, max_gap_seconds, limit)
    events = open_events(source, layout)
    _make_folder(landing)
    _make_folder(state.parent)
    sizes = [[file.name, file.stat().st_size] for file in events.files]
    owner = {"files": sizes, "landing": str(landing.resolve()), **asdict(pace)}
    fresh = Position(run or datetime.now(UTC).strftime("replay-%Y%m%dT%H%M%S"))
    position = _resume(state, owner, landing, events.suffix) or fresh
    _save(state, owner, position)  # a kill from here on keeps the run's name
    begun, begun_rows, first_tick = clock(), position.rows, None

    def summary(stopped: bool = False) -> ReplaySummary:
        at = position.event_time
        moment = None if at is None else EPOCH + timedelta(microseconds=at)
        return ReplaySummary(
            position.files, position.rows, moment, position.rows - begun_rows, clock() - begun, stopped
        )

    for tick, parts, reached in _files(events, pace, position, limit, until):
        if first_tick is None:  # a resumed run starts at the tick it is at, once it has found it
            begun, first_tick = clock(), tick
        due = begun + (tick - first_tick + 1) * tick_seconds  # when the tick is over
        if not _wait(due, clock, sleep, stop):
            return summary(stopped=True)
        reached = replace(reached, files=position.files + 1)
        name = _name(reached, events.suffix)
        hidden = landing / f".{name}"
        events.write(hidden, parts)
        for path in (hidden, landing):  # a power cut must not leave a state that names a file that isn't there
            sync(path)
        _save(state, owner, reached)
        os.replace(hidden, landing / name)
        position = reached
        if progress:
            progress(summary())
    if position.rows == 0 and limit is None and until is None:
        raise InputError(f"{source}: has no rows to replay")
    return summary()


def _files(
    events: Events, pace: Pace, position: Position, limit: int | None, until: datetime | None
) -> Iterator[tuple[int, list[Any], Position]]:
    """What each file holds: its tick, its rows, and the position once it has landed."""
    tick, size = -1, 0
    parts: list[Any] = []
    for times, rows in events.batches(position.rows):
        times = _fill(times, position, events)
        elapsed = pace.elapsed(times, position)
        ticks = pace.ticks(elapsed, position.rows)
        end = _end(times, position.rows, limit, until)
        starts = np.flatnonzero(np.diff(ticks[:end], prepend=-1)).tolist()
        before = position
        for low, high in pairwise([*starts, end]):
            if parts and (int(ticks[low]) != tick or size + high - low > FILE_ROWS):
                yield tick, parts, position
                parts, size = [], 0
            tick, size = int(ticks[low]), size + high - low
            parts.append(rows[low:high])
            position = replace(
                position,
                rows=before.rows + high,
                elapsed=int(elapsed[high - 1]),
                event_time=int(times[high - 1]),
            )
        if end < len(times):
            break
    if parts:
        yield tick, parts, position


def _fill(times: Times, position: Position, events: Events) -> Times:
    """Times with those before the first readable one filled in."""
    readable = times[times != NOT_A_TIME]
    if position.event_time is not None:
        return np.where(times == NOT_A_TIME, position.event_time, times)
    if not len(readable):
        written = "like 2019-10-01 00:00:00 UTC" if events.time.format == ISO else events.time.format
        raise InputError(
            f"{events.files[0]}: event_time can't be read in the first {len(times)} rows; expected {written}"
        )
    return np.where(times == NOT_A_TIME, readable[0], times)


def _end(times: Times, rows_before: int, limit: int | None, until: datetime | None) -> int:
    """How many of the rows may be played."""
    end = len(times)
    if until is not None:
        aware = until if until.tzinfo else until.replace(tzinfo=UTC)
        late = np.flatnonzero(times >= (aware - EPOCH) // timedelta(microseconds=1))
        end = int(late[0]) if len(late) else end
    return end if limit is None else max(0, min(end, limit - rows_before))


def _wait(due: float, clock: Callable[[], float], sleep: Callable[[float], Any], stop: Event | None) -> bool:
    """Sleep until a moment; False as soon as a stop is asked for."""
    while not (stop and stop.is_set()):
        left = due - clock()
        if left <= 0:
            return True
        sleep(min(left, NAP_SECONDS))
    return False


def _resume(state: Path, owner: dict[str, Any], landing: Path, suffix: str) -> Position | None:
    """The position of an earlier run, whose last file is brought to its name; None at a first start."""
    if not state.exists():
        return None
    try:
        saved = json.loads(state.read_text())
        position = Position(**saved["position"])
    except (ValueError, TypeError, KeyError, OSError):
        raise InputError(f"{state}: is not a replay's state; name another file or remove it") from None
    if saved["replay"] != owner:
        differ = ", ".join(name for name, value in owner.items() if saved["replay"].get(name) != value)
        raise InputError(f"{state}: belongs to another replay (its {differ} differ); remove it to start anew")
    name = _name(position, suffix)
    hidden = landing / f".{name}"
    if hidden.exists():
        os.replace(hidden, landing / name)
    return position


def _save(state: Path, owner: dict[str, Any], position: Position) -> None:
    write_text(state, json.dumps({"replay": owner, "position": asdict(position)}))


def _name(position: Position, suffix: str) -> str:
    return f"{position.run}-{position.files:09d}{suffix}"


def _pace(
    speed: float | None, rate: float | None, tick_seconds: float, max_gap_seconds: float | None, limit: int | None
) -> Pace:
    if (speed is None) == (rate is None):
        raise InputError("replay: give either a speed (times real time) or a rate (events a second)")
    for name, value in (
        ("speed", speed),
        ("rate", rate),
        ("tick_seconds", tick_seconds),
        ("max_gap_seconds", max_gap_seconds),
        ("limit", limit),
    ):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"replay: {name} must be a number above 0, got {value}")
    return Pace(speed, rate, tick_seconds, max_gap_seconds)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: can't be made a folder ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: can't be written to")
