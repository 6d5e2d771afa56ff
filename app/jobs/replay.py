"""The replay as a job: `python -m app.jobs.replay`, settings from `VITRINE_*`."""

import signal
import threading
from pathlib import Path

from app.core.errors import InputError
from app.core.settings import Settings, load_settings
from app.events.layout import layout_of
from app.jobs.guard import guarded, say
from app.stream.folders import StreamFolders
from app.stream.replay import Clock, Pace, ReplaySummary, replay

STATE = "replay.json"  #: below <output>/stream: a replay started again goes on where it was


def play(settings: Settings, stop: threading.Event) -> ReplaySummary:
    """Play `events` into the landing folder at `replay_speed` or `replay_rate`."""
    if settings.events is None:
        raise InputError("replay needs --events (VITRINE_EVENTS): the log to play")
    folders = StreamFolders.of(settings)
    folders.landing.mkdir(parents=True, exist_ok=True)
    folders.root.mkdir(parents=True, exist_ok=True)
    pace = Pace(settings.replay_speed, settings.replay_rate, settings.replay_tick, settings.replay_max_gap)
    return replay(
        settings.events,
        folders.landing,
        pace,
        state=folders.root / STATE,
        limit=settings.replay_limit,
        layout=layout_of(settings),
        clock=Clock(stop=stop),
        present=settings.replay_present,
        progress=lambda done: say(
            f"{done.rows:,} events played, {done.events_per_second:,.0f}/s, at {done.event_time}"
        ),
    )


def run_replay(settings: Settings) -> None:
    """Play until the end of the log or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    done = play(settings, stop)
    say(ending(done, settings.replay_limit, StreamFolders.of(settings).root / STATE))


def ending(done: ReplaySummary, limit: int | None, state: Path) -> str:
    """The line of a replay that has ended; where earlier runs reached the limit, it says so."""
    if limit is not None and done.run_rows == 0 and not done.stopped and done.rows >= limit:
        return (
            f"nothing played: {done.rows:,} events were played before, and --replay-limit {limit:,} counts from the "
            f"log's first; give more than {done.rows:,} to go on, or remove {state} to start anew"
        )
    stopped = " (stopped)" if done.stopped else ""
    return f"{done.rows:,} events in {done.files:,} files, up to {done.event_time}{stopped}"


if __name__ == "__main__":
    with guarded():
        run_replay(load_settings())
