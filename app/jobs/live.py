"""The live demo: one synthetic shop from its first event to its lists, watched as it goes."""

import json
import shutil
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from app.core.errors import InputError, VitrineError
from app.core.lease import stream_lease
from app.core.settings import Settings
from app.core.spark import create_session
from app.jobs.guard import say
from app.jobs.replay import play
from app.jobs.stream import summary_line
from app.monitor.local import LocalInflux
from app.stream.engine import SPARK_CONFIGURATION, Stream
from app.stream.telemetry import StreamSummary
from app.synthetic import cut_in_two, generate
from app.train.run import train

DAYS = 14
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
    replayed = int(rate * seconds)
    if replayed >= events:
        raise InputError(f"--events {events:,} must be more than --rate x --seconds = {replayed:,}: both are one shop")
    root = settings.output.absolute()
    _empty(root)
    history, live = root / "history.synthetic.csv", root / "live.synthetic.csv"
    say(f"making a synthetic shop of {events:,} events, the last {replayed:,} of them to be replayed")
    _make_shop(root, events, replayed, settings.seed, history, live)
    server, chosen = _influx(settings, root)
    try:
        summary = _train_and_stream(chosen, history, live, rate, replayed)
    finally:
        if server is not None:
            server.stop()
    print(json.dumps(asdict(summary)) if as_json else "\n" + "\n".join(_closing(summary, chosen)))


def _empty(root: Path) -> None:
    marker = root / ".vitrine-live"
    if root.exists() and any(root.iterdir()) and not marker.exists():
        raise InputError(f"{root}: is not empty and no earlier live demo; give --output a new folder")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    marker.touch()


def _make_shop(root: Path, events: int, replayed: int, seed: int, history: Path, live: Path) -> None:
    shop = root / "shop.synthetic.csv"
    # The shop ends today, so that the dashboards' last days hold what is replayed.
    start = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    generate(shop, events, seed, days=DAYS, start=start)
    cut_in_two(shop, events - replayed, history, live)


def _influx(settings: Settings, root: Path) -> tuple[LocalInflux | None, Settings]:
    program = shutil.which("influxd")
    if settings.influx_url is not None or program is None:
        return None, settings
    folder = root / "influxdb"
    folder.mkdir()
    server = LocalInflux(folder, program, settings.influx_org, settings.influx_bucket)
    say(f"InfluxDB runs at {server.config.url}, its data in {folder}")
    return server, settings.model_copy(
        update={"influx_url": server.config.url, "influx_token": SecretStr(server.config.token)}
    )


def _train_and_stream(settings: Settings, history: Path, live: Path, rate: float, replayed: int) -> StreamSummary:
    spark = create_session(settings, "vitrine-live", SPARK_CONFIGURATION | {"spark.sql.adaptive.enabled": "true"})
    lease = stream_lease(settings.output)
    try:
        train(spark, settings.model_copy(update={"events": str(history)}), datetime.now(UTC), say)
        lease.acquire(wait=False, say=say)
        stream = Stream(spark, settings, lease, say)
        stream.start()
        stop = threading.Event()
        player = threading.Thread(
            target=_feed,
            args=(stream, settings.model_copy(update={"events": str(live), "replay_rate": rate}), replayed, stop),
        )
        player.start()
        try:
            stream.wait(tell=lambda summary: say(summary_line(summary)))
        finally:
            stop.set()
            player.join()
            stream.stop()
        return stream.telemetry.summary()
    finally:
        lease.release()
        spark.stop()


def _feed(stream: Stream, settings: Settings, replayed: int, stop: threading.Event) -> None:
    """Play the live part, wait until the stream has done with it, and end the stream."""
    try:
        play(settings, stop)
        until = time.monotonic() + DRAIN_SECONDS
        while not stop.is_set() and stream.telemetry.rows() < replayed:
            if time.monotonic() > until:
                say(f"not all events were taken in within {DRAIN_SECONDS:.0f} s of the replay's end")
                break
            time.sleep(0.2)
    except (VitrineError, OSError) as error:
        say(f"error: replay: {error}")
    finally:
        stream.stopping.set()


def _closing(summary: StreamSummary, settings: Settings) -> list[str]:
    root = settings.output.absolute()
    return [
        "Synthetic data: these figures say nothing about a real shop.",
        summary_line(summary),
        f"Lists           {root / 'stream' / 'lists'}",
        f"As CSV          {root / 'stream' / 'merged_recommendations.csv'}",
        f"Event archive   {root / 'stream' / 'archive'}",
        f"Training report {root / 'report.html'}",
        f"Points          {settings.influx_url or 'none: no InfluxDB was found or given'}",
    ]
