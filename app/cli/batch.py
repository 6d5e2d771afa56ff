"""Commands that end by themselves: training, exploration, segments, customers, and what a training left."""

from typing import Any

import click

from app.cli.options import SPARK_SETTINGS, json_option, setting_options
from app.core.settings import load_settings
from app.jobs.guard import guarded

# Commands import what they run where they run it: --help must not wait for Spark.
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


@click.command()
@setting_options(
    *READ_SETTINGS,
    "catalogue",
    "segments",
    "seed",
    "generators",
    "als_engine",
    "als_factors",
    "als_iterations",
    "blend_weights",
    "ranker",
    "top_k",
    "active_days",
    "test_days",
    "force_publish",
    "resume",
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

    One that was killed is gone on with by the same command and --resume, within a day.

    \b
    Example:
      vitrine train --events 2019-Oct.csv.gz --output shop/
    """
    from app.jobs.run import run_training

    with guarded():
        run_training(load_settings(**flags), as_json=as_json)


@click.command()
@setting_options(*READ_SETTINGS, "funnel_window_days", "cart_window_hours", *SPARK_SETTINGS)
@json_option
def explore(as_json: bool, **flags: Any) -> None:
    """Clean and explore an event log: what is in it, funnel, carts, products, paths.

    \b
    Example:
      vitrine explore --events 'logs/2019-*.csv' --output shop/
    """
    from app.jobs.run import run_batch
    from app.train.run import explore_only

    with guarded():
        run_batch(explore_only, "explore", load_settings(**flags), as_json=as_json)


@click.command()
@setting_options(*READ_SETTINGS, "segments", "seed", "cart_window_hours", *SPARK_SETTINGS)
@json_option
def segments(as_json: bool, **flags: Any) -> None:
    """Customer segments (K-Means) and behaviour profiles (rules) of an event log.

    \b
    Example:
      vitrine segments --events 2019-Oct.csv --output shop/ --segments 5
    """
    from app.jobs.run import run_batch
    from app.train.run import segments_only

    with guarded():
        run_batch(segments_only, "segments", load_settings(**flags), as_json=as_json)


@click.command()
@setting_options(*READ_SETTINGS, *SPARK_SETTINGS)
@json_option
def customers(as_json: bool, **flags: Any) -> None:
    """Customers of an event log: RFM, cohorts, lifecycle, and what they are expected to bring.

    \b
    Example:
      vitrine customers --events orders.csv --layout shop.yaml --output shop/
    """
    from app.jobs.run import run_batch
    from app.train.run import customers_only

    with guarded():
        run_batch(customers_only, "customers", load_settings(**flags), as_json=as_json)


@click.command()
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


@click.command()
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
