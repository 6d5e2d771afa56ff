"""The command line `vitrine`: one thin function a command."""

import click

from app.cli.batch import customers, explore, report, rollback, segments, train
from app.cli.serving import attribution, serve
from app.cli.streaming import backfill, live, replay, shop, stream
from app.cli.tools import generate, layout, settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="vitrine")
def main() -> None:
    """Behavioural analytics and recommendations from an online shop's event log.

    Start with:  vitrine generate --output shop.synthetic.csv  and  vitrine train --events shop.synthetic.csv

    Every flag is also a variable VITRINE_<NAME>; 'vitrine settings' lists them all.
    Exit codes: 0 done; 2 input, setting or environment to be mended; 1 anything else.
    """


COMMANDS = (
    train,
    explore,
    segments,
    customers,
    report,
    rollback,
    layout,
    generate,
    settings,
    stream,
    serve,
    attribution,
    backfill,
    replay,
    live,
    shop,
)
for command in COMMANDS:
    main.add_command(command)
