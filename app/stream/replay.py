"""Plays an event file into the landing folder as if it happened now; resumable after a kill."""

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
from app.events.layout import REES46, Layout
from app.events.times import ISO
from app.stream.replay_files import NOT_A_TIME, Events, Times, open_events
from app.stream.replay_state import Position, ReplayState

MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILE_ROWS = 50_000  # most rows of a landed file, so that memory stays bounded at any speed
NAP_SECONDS = 0.2  # longest sleep, so that a stop is soon noticed


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
class Clock:
    """What a replay waits by.

    Parameters
    ----------
    now, sleep
        Seconds, as `time.monotonic` and `time.sleep`.
    stop
        Ends the replay, once set, between two files.
    wall
        Seconds since 1970.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Any] = time.sleep
    stop: Event | None = None
    wall: Callable[[], float] = time.time

    def wait(self, due: float) -> bool:
        """Sleep until a moment; False as soon as a stop is asked for."""
        while not (self.stop and self.stop.is_set()):
            left = due - self.now()
            if left <= 0:
                return True
            self.sleep(min(left, NAP_SECONDS))
        return False


@dataclass(frozen=True)
class Pace:
    """When a row is due: event time divided by `speed`, or row number divided by `rate`.

    Parameters
    ----------
    speed, rate
        One of the two: event time over real time, or events a second.
    tick_seconds
        Real time between files; a tick without events writes none.
    max_gap_seconds
        Longest real time without events; longer gaps are cut to it (with `speed`).

    Raises
    ------
    InputError
        Speed and rate both or neither given, or a number out of range.
    """

    speed: float | None = None
    rate: float | None = None
    tick_seconds: float = 1.0
    max_gap_seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.speed is None) == (self.rate is None):
            raise InputError("replay: give either a speed (times real time) or a rate (events a second)")
        for name, value in asdict(self).items():
            _check_positive(name, value)

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
    pace: Pace,
    *,
    state: Path,
    limit: int | None = None,
    layout: Layout = REES46,
    clock: Clock | None = None,
    present: bool = False,
    progress: Callable[[ReplaySummary], Any] | None = None,
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
        `<run>-<number>.csv` or `.parquet`; until then their names begin with a dot. `<run>` is the
        time of the first start.
    pace
        When each row is due.
    state
        JSON file that remembers how far the replay has come.
    limit
        Stop after so many rows of the log.
    layout
        Where the log's times stand, and how they are written.
    clock
        The real one by default.
    present
        Rows bear the time at which they land, spread over the tick before it, in place of their own; over
        less where the file before is late, so that times never go back.
    progress
        Called after each landed file.

    Raises
    ------
    InputError
        No such source, no rows, a limit out of range, a state of another replay, or times that can't be
        made the present's.
    """
    _check_positive("limit", limit)
    clock, events = clock or Clock(), open_events(source, layout)
    if present:
        events.check_writable()
    _make_folder(landing)
    _make_folder(state.parent)
    kept = ReplayState(state, landing, events, asdict(pace))
    first = position = kept.resume()
    begun, first_tick, stopped, last = clock.now(), None, False, 0
    for tick, parts, reached in _files(events, pace, position, limit):
        if first_tick is None:  # a resumed run starts at the tick it is at, once it has found it
            begun, first_tick = clock.now(), tick
        if not clock.wait(begun + (tick - first_tick + 1) * pace.tick_seconds):  # when the tick is over
            stopped = True
            break
        position = replace(reached, files=position.files + 1)
        if present:
            landed = max(last, round(clock.wall() * MICROSECONDS))
            parts = _at(parts, max(last, landed - round(pace.tick_seconds * MICROSECONDS)), landed, events)
            last = landed
        kept.land(parts, position)
        if progress:
            progress(_summary(position, first, clock.now() - begun))
    if not stopped and position.rows == 0 and limit is None:
        raise InputError(f"{source}: has no rows to replay")
    return _summary(position, first, clock.now() - begun, stopped=stopped)


def _summary(position: Position, first: Position, seconds: float, *, stopped: bool = False) -> ReplaySummary:
    """Of a run that began at the first position."""
    at = None if position.event_time is None else EPOCH + timedelta(microseconds=position.event_time)
    return ReplaySummary(position.files, position.rows, at, position.rows - first.rows, seconds, stopped)


def _files(
    events: Events, pace: Pace, position: Position, limit: int | None
) -> Iterator[tuple[int, list[Any], Position]]:
    """What each file holds: its tick, its rows, and the position once it has landed."""
    tick, size = -1, 0
    parts: list[Any] = []
    for times, rows in events.batches(position.rows):
        times = _fill(times, position, events)
        elapsed = pace.elapsed(times, position)
        ticks = pace.ticks(elapsed, position.rows)
        end = len(times) if limit is None else max(0, min(len(times), limit - position.rows))
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


def _at(parts: list[Any], begin: int, landed: int, events: Events) -> list[Any]:
    """Rows with times from a moment to that at which they land, in microseconds, in their order."""
    count = sum(map(len, parts))
    times = begin + (landed - begin) * np.arange(1, count + 1, dtype=np.int64) // count
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [events.at(part, moments) for part, moments in zip(parts, np.split(times, ends), strict=True)]


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


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise InputError(f"replay: {name} must be a number above 0, got {value}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: can't be made a folder ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: can't be written to")
