"""Commands of the stream, of what feeds it, and of what is filled from its files."""

from typing import Any

import click

from app.cli.options import SPARK_SETTINGS, json_option, setting_options
from app.core.settings import load_settings
from app.jobs.guard import guarded, say

STREAM_SETTINGS = (
    "output",
    "landing",
    "layout",
    "delimiter",
    "files_per_trigger",
    "stream_partitions",
    "top_k",
    "lists_seconds",
    "windows_seconds",
    "archive_days",
    "archive_single_minutes",
    "stand_by",
    "clean_landing",
    "metrics_port",
    "influx_url",
    "influx_org",
    "influx_bucket",
    "influx_days",
)
REPLAY_SETTINGS = ("replay_speed", "replay_rate", "replay_tick", "replay_max_gap", "replay_limit", "replay_present")


@click.command()
@setting_options(*STREAM_SETTINGS, *SPARK_SETTINGS)
def stream(**flags: Any) -> None:
    """Turn arriving event files into recommendation lists, until stopped (Ctrl-C, SIGTERM).

    Files are moved into the landing folder by one rename. Lists go to <output>/stream/lists (Parquet)
    and merged_recommendations.csv, points to InfluxDB where --influx-url is set (its token is read from
    VITRINE_INFLUX_TOKEN alone). A published bundle is taken up between two micro-batches.

    \b
    Example:
      vitrine stream --output shop/
    """
    from app.jobs.stream import run_stream

    with guarded():
        run_stream(load_settings(**flags))


@click.command()
@setting_options("output", "influx_url", "influx_org", "influx_bucket")
def backfill(**flags: Any) -> None:
    """Fill an InfluxDB again from files, when its volume was lost or a new one takes its place.

    Writes trainings and segments (<output>/runs), window counts, and the lists and quality of
    the micro-batches that the archive holds. What is there already is replaced by the same: it may run twice,
    and while the stream runs. Single recommendations are not kept in files for longer than their lists.

    \b
    Example:
      VITRINE_INFLUX_TOKEN=... vitrine backfill --output shop/ --influx-url http://localhost:8086
    """
    from app.jobs.backfill import backfill as fill

    with guarded():
        say(f"{fill(load_settings(**flags), say):,} points written")


@click.command()
@setting_options("events", "layout", "output", "landing", "delimiter", *REPLAY_SETTINGS)
def replay(**flags: Any) -> None:
    """Play an event log into the landing folder, as if it happened now.

    Order and gaps are kept; a replay that was stopped or killed goes on where it was. With --replay-present an
    old log happens now: dashboards show it at their default range, beside events that are posted.

    \b
    Examples:
      vitrine replay --events shop.synthetic.csv --output shop/ --replay-speed 600
      vitrine replay --events shop.synthetic.csv --output shop/ --replay-rate 1000
    """
    from app.jobs.replay import run_replay

    with guarded():
        run_replay(load_settings(**flags))


@click.command()
@setting_options("output", "influx_url", "influx_org", "influx_bucket", *SPARK_SETTINGS)
@click.option("--events", type=click.IntRange(1_000), default=300_000, show_default=True, help="Events of the shop.")
@click.option("--rate", type=click.FloatRange(1), default=1_000, show_default=True, help="Events replayed a second.")
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True, help="Length of the replay.")
@json_option
def live(events: int, rate: float, seconds: float, as_json: bool, **flags: Any) -> None:
    """The whole system on one synthetic shop: generate, train, stream, replay; ends by itself.

    Starts an InfluxDB where 'influxd' is on the PATH and no --influx-url is given.

    \b
    Example:
      vitrine live --output live/
    """
    from app.jobs.live import run_live

    with guarded():
        run_live(load_settings(**flags), events, rate, seconds, as_json=as_json)


@click.command()
@setting_options("output", "host", "port", "influx_url", "influx_org", "influx_bucket", *SPARK_SETTINGS)
@click.option("--events", type=click.IntRange(1_000), default=100_000, show_default=True, help="Events of the shop.")
@click.option(
    "--rate", type=click.FloatRange(0.1), default=5, show_default=True, help="Events of other visitors a second."
)
def shop(events: int, rate: float, **flags: Any) -> None:
    """A shop to click through, with everything behind it, on this machine, until stopped (Ctrl-C, SIGTERM).

    Generates a synthetic shop, trains on it, starts the stream and the API, plays other visitors for an hour, and
    prints the address of the page.

    \b
    Example:
      vitrine shop --output shop-demo/ --port 8000
    """
    from app.jobs.shop import run_shop

    with guarded():
        run_shop(load_settings(**flags), events, rate)
