"""The commands that answer over HTTP, and tell what came of the answers."""

import json
from typing import Any

import click

from app.cli.options import json_option, setting_options
from app.core.settings import load_settings
from app.jobs.guard import guarded


@click.command()
@setting_options(
    "output",
    "landing",
    "layout",
    "host",
    "port",
    "request_rate",
    "request_bytes",
    "commit_seconds",
    "remember_hours",
    "drain_seconds",
    "attribution_hours",
    "challenger",
    "challenger_share",
    "experiment",
)
def serve(**flags: Any) -> None:
    """Answer over HTTP from the bundle in use, and take events in, until stopped (Ctrl-C, SIGTERM).

    Lists for users, sessions, products and categories under /v1; posted events go to the stream's landing folder. A
    published bundle is taken up at once. Needs no Java. Keys are read from VITRINE_READ_KEY and VITRINE_WRITE_KEY
    alone. A shop to click through is at /, the OpenAPI at /openapi.json.

    \b
    Example:
      vitrine serve --output shop/ --port 8000
    """
    from app.jobs.serve import run_serve

    with guarded():
        run_serve(load_settings(**flags))


@click.command()
@setting_options("output")
@click.option("--days", type=click.FloatRange(0, min_open=True), default=7, show_default=True, help="Days looked at.")
@json_option
def attribution(as_json: bool, days: float, **flags: Any) -> None:
    """What the API's lists led to: click-through and conversion by source, reason and variant, with intervals.

    Counted by vitrine serve from posted events that name the list they come from.

    \b
    Example:
      vitrine attribution --output shop/ --days 14
    """
    from app.api.attribution.summary import summary

    with guarded():
        found = summary(load_settings(**flags), days)
        click.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
