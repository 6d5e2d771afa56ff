"""The command that answers over HTTP."""

from typing import Any

import click

from app.cli.options import setting_options
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
    "attribution_hours",
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
