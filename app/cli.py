"""The command line `vitrine`: one function a command, each thin."""

from collections.abc import Callable
from typing import Any

import click

from app.core.errors import InputError
from app.core.settings import Settings, load_settings
from app.jobs.run import guarded, run_batch, run_training, say

Command = Callable[..., Any]


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Flags for some of the settings; help, default and variable come from their declaration."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            declared = Settings.model_fields[name]
            flag = f"--{name.replace('_', '-')}"
            text = f"{declared.description} [default: {declared.default}; variable VITRINE_{name.upper()}]"
            if isinstance(declared.default, bool):
                command = click.option(flag, name, is_flag=True, default=None, help=text)(command)
            else:
                command = click.option(flag, name, metavar="VALUE", default=None, help=text)(command)
        return command

    return add


json_option = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for machines.")
SPARK_SETTINGS = ("master", "driver_memory", "shuffle_partitions")
READ_SETTINGS = (
    "events",
    "layout",
    "output",
    "delimiter",
    "training_days",
    "max_rejected_share",
    "timezone",
    "session_idle_minutes",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="vitrine")
def main() -> None:
    """Behavioural analytics and recommendations from an online shop's event log.

    Start with:  vitrine generate --output shop.synthetic.csv  and  vitrine train --events shop.synthetic.csv

    Every flag is also a variable VITRINE_<NAME>; 'vitrine settings' lists them all.
    Exit codes: 0 done; 2 input, setting or environment to be mended; 1 anything else.
    """


def _batch(name: str, flags: dict[str, Any], as_json: bool) -> None:
    # Imported here: --help must not wait for Spark.
    from app.train import run as training

    with guarded():
        run_batch(getattr(training, name), load_settings(**flags), as_json=as_json)


@main.command()
@setting_options(
    *READ_SETTINGS,
    "catalogue",
    "segments",
    "seed",
    "als_engine",
    "als_factors",
    "als_iterations",
    "blend_weights",
    "top_k",
    "active_days",
    "test_days",
    "force_publish",
    "keep_bundles",
    *SPARK_SETTINGS,
)
@json_option
def train(as_json: bool, **flags: Any) -> None:
    """Train from an event log, and publish a model bundle, lists and a report.

    Cleans the log, explores it, builds features, segments and profiles, trains the recommenders,
    tests them on the end of the data, publishes the bundle unless it is worse than the one in use,
    and writes lists for active users and report.html.

    Without --events the latest cleaned table of the output folder is used again.

    \b
    Example:
      vitrine train --events 2019-Oct.csv.gz --output shop/
    """
    with guarded():
        run_training(load_settings(**flags), as_json=as_json)


@main.command()
@setting_options(*READ_SETTINGS, *SPARK_SETTINGS)
@json_option
def explore(as_json: bool, **flags: Any) -> None:
    """Clean and explore an event log: event mix, gaps, days, hours, prices, sessions, funnel.

    \b
    Example:
      vitrine explore --events 'logs/2019-*.csv' --output shop/
    """
    _batch("explore_only", flags, as_json)


@main.command()
@setting_options(*READ_SETTINGS, "segments", "seed", "cart_window_hours", *SPARK_SETTINGS)
@json_option
def segments(as_json: bool, **flags: Any) -> None:
    """Customer segments (K-Means) and behaviour profiles (rules) of an event log.

    \b
    Example:
      vitrine segments --events 2019-Oct.csv --output shop/ --segments 5
    """
    _batch("segments_only", flags, as_json)


@main.command()
@setting_options("events")
def layout(**flags: Any) -> None:
    """Propose a layout for a log that is not written like the REES46 months.

    Looks at the first rows of a local CSV (plain or gzip) or Parquet file, and prints YAML: which column is
    which, what the event types are called, how times are written. Comments say what is a guess. The
    result is given to the other commands with --layout.

    \b
    Example:
      vitrine layout --events orders.csv > shop.yaml
      vitrine train --events orders.csv --layout shop.yaml --output shop/
    """
    from app.events.propose import propose

    with guarded():
        source = load_settings(**flags).events
        if source is None:
            raise InputError("layout needs --events (VITRINE_EVENTS): a file of the log")
        proposal = propose(source)
        click.echo(proposal.text, nl=False)
        if proposal.unfilled:
            say(f"fill in before you use it: {', '.join(proposal.unfilled)}")


@main.command()
@setting_options("output")
def report(**flags: Any) -> None:
    """Write report.html again from the run.json of the last run.

    \b
    Example:
      vitrine report --output shop/
    """
    from app.core.folders import Output
    from app.report.page import write_report
    from app.results.files import read_run

    with guarded():
        output = Output(load_settings(**flags).output.absolute())
        write_report(read_run(output.run), output.report)
        click.echo(f"Report  {output.report}")


@main.command()
@setting_options("output")
def rollback(**flags: Any) -> None:
    """Publish the bundle again that was in use before this one.

    \b
    Example:
      vitrine rollback --output shop/
    """
    from app.core.folders import Output
    from app.registry.registry import Registry

    with guarded():
        old, new = Registry(Output(load_settings(**flags).output.absolute()).models).rollback()
        click.echo(f"Bundle {new} is in use again, in place of {old}")


@main.command()
@click.option(
    "--output",
    default="shop.synthetic.csv",
    show_default=True,
    help="File to write; .csv, .csv.gz or .parquet. Keep 'synthetic' in its name: reports say so then.",
)
@click.option("--events", type=click.IntRange(1), default=200_000, show_default=True, help="Number of events.")
@click.option("--seed", type=int, default=42, show_default=True, help="Same seed, same bytes.")
@click.option("--users", type=click.IntRange(1), help="Number of users [default: fits the events].")
@click.option("--products", type=click.IntRange(1), help="Number of products [default: fits the events].")
@click.option(
    "--days", type=click.IntRange(1), help="Length of the log in days [default: 14, or 31 from 5 million events]."
)
def generate(output: str, events: int, seed: int, users: int | None, products: int | None, days: int) -> None:
    """Make the event log of a synthetic shop, of any size.

    Event mix, gaps, funnel, session lengths, hours and popularity follow the published figures of the
    REES46 months; users have tastes that a recommender can learn.

    \b
    Example:
      vitrine generate --events 1000000 --output shop.synthetic.csv
    """
    from app.core.folders import local_path
    from app.synthetic import generate as make

    def progress(done: int, total: int, written: int) -> None:
        say(f"[{done:>2}/{total}] days: {written:>12,} events")

    with guarded():
        try:
            target = local_path(output)
        except ValueError as error:
            raise InputError(f"--output {output}: {error}") from None
        shop = make(target, events, seed, users=users, products=products, days=days, progress=progress)
        click.echo(str(shop))


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
REPLAY_SETTINGS = ("replay_speed", "replay_rate", "replay_tick", "replay_max_gap", "replay_limit")


@main.command()
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


@main.command()
@setting_options("output", "influx_url", "influx_org", "influx_bucket")
def backfill(**flags: Any) -> None:
    """Fill an InfluxDB again from files, when its volume was lost or a new one takes its place.

    Writes trainings and segments (<output>/runs), window counts, and the lists, quality and progress of
    the micro-batches that the archive holds. What is there already is replaced by the same: it may run twice,
    and while the stream runs. Single recommendations are not kept in files for longer than their lists.

    \b
    Example:
      VITRINE_INFLUX_TOKEN=... vitrine backfill --output shop/ --influx-url http://localhost:8086
    """
    from app.jobs.backfill import backfill as fill

    with guarded():
        say(f"{fill(load_settings(**flags), say):,} points written")


@main.command()
@setting_options("events", "layout", "output", "landing", "delimiter", *REPLAY_SETTINGS)
def replay(**flags: Any) -> None:
    """Play an event log into the landing folder, as if it happened now.

    Order and gaps are kept; a replay that was stopped or killed goes on where it was.

    \b
    Examples:
      vitrine replay --events shop.synthetic.csv --output shop/ --replay-speed 600
      vitrine replay --events shop.synthetic.csv --output shop/ --replay-rate 1000
    """
    from app.jobs.replay import run_replay

    with guarded():
        run_replay(load_settings(**flags))


@main.command()
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


@main.command()
def settings() -> None:
    """List every setting with its variable, default and meaning."""
    for name, declared in Settings.model_fields.items():
        click.echo(f"VITRINE_{name.upper()} [{declared.default}]\n    {declared.description}")


if __name__ == "__main__":
    main()
