"""The live demo: one synthetic shop from its first event to its lists, watched as it goes."""

import json
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.jobs.demo import DemoShop, make_shop, own_influx, trained_stream
from app.jobs.guard import say
from app.jobs.replay import play
from app.jobs.stream import summary_line
from app.stream.engine import Stream
from app.stream.telemetry import StreamSummary

DRAIN_SECONDS = 180.0  #: after the last event, how long the stream may take to catch up


def run_live(settings: Settings, events: int, rate: float, seconds: float, *, as_json: bool = False) -> None:
    """Generate, train, stream, replay, and print a summary.

    Parameters
    ----------
    settings
        `output` is emptied of an earlier demo; InfluxDB as set, else an `influxd` of its own.
    events
        Events of the shop; the last `rate` × `seconds` of them are replayed, the others trained on.
    rate, seconds
        Events a second, and how long.
    as_json
        Print the summary as JSON.

    Raises
    ------
    InputError
        More events to be replayed than the shop has, or `output` is no folder of an earlier demo.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same end as Ctrl-C, whatever is being done
    root = settings.output.absolute()
    shop = make_shop(root, events, int(rate * seconds), settings.seed)
    with own_influx(settings) as chosen, trained_stream(chosen, shop.history) as stream:
        stop = threading.Event()
        playing = chosen.model_copy(update={"events": str(shop.live), "replay_rate": rate, "replay_present": True})
        player = threading.Thread(target=_feed, args=(stream, playing, shop, stop))
        player.start()
        try:
            stream.wait(tell=lambda summary: say(summary_line(summary)))
        finally:
            stop.set()
            player.join()
    summary = stream.telemetry.summary()
    print(json.dumps(asdict(summary)) if as_json else "\n" + "\n".join(_closing(summary, chosen.influx_url, root)))


def _feed(stream: Stream, settings: Settings, shop: DemoShop, stop: threading.Event) -> None:
    """Play the live part, wait until the stream has done with it, and end the stream."""
    try:
        play(settings, stop)
        until = time.monotonic() + DRAIN_SECONDS
        while not stop.is_set() and stream.telemetry.rows() < shop.replayed:
            if time.monotonic() > until:
                say(f"not all events were taken in within {DRAIN_SECONDS:.0f} s of the replay's end")
                break
            time.sleep(0.2)
    except (VitrineError, OSError) as error:
        say(f"error: replay: {error}")
    finally:
        stream.stopping.set()


def _closing(summary: StreamSummary, influx: str | None, root: Path) -> list[str]:
    return [
        "Synthetic data: these figures say nothing about a real shop.",
        summary_line(summary),
        f"Lists           {root / 'stream' / 'lists'}",
        f"As CSV          {root / 'stream' / 'merged_recommendations.csv'}",
        f"Event archive   {root / 'stream' / 'archive'}",
        f"Training report {root / 'report.html'}",
        f"Points          {influx or 'none: no InfluxDB was found or given'}",
    ]
