"""Commands around a shop: its layout, a synthetic one, the list of settings."""

from datetime import datetime
from typing import Any

import click

from app.cli.options import setting_options
from app.core.errors import InputError
from app.core.settings import Settings, load_settings
from app.jobs.guard import guarded, say


@click.command()
@setting_options("events")
def layout(**flags: Any) -> None:
    """Propose a layout for a log that is not written like the REES46 months.

    Looks at the first rows of a local CSV (plain or gzip) or Parquet file, and prints YAML: which column is
    which, what the event types are called, how times are written, and which file beside it is a catalogue
    of its products. Comments mark what is a guess. The result is given to the other commands with --layout.

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


@click.command()
@click.option(
    "--output",
    default="shop.synthetic.csv",
    show_default=True,
    help="File to write; .csv, .csv.gz or .parquet. Keep 'synthetic' in its name: reports then say so.",
)
@click.option("--events", type=click.IntRange(1), default=200_000, show_default=True, help="Number of events.")
@click.option("--seed", type=int, default=42, show_default=True, help="Same seed, same bytes.")
@click.option("--users", type=click.IntRange(1), help="Number of users [default: fits the events].")
@click.option("--products", type=click.IntRange(1), help="Number of products [default: fits the events].")
@click.option(
    "--days", type=click.IntRange(1), help="Length of the log in days [default: 14, or 31 from 5 million events]."
)
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="First day of the log [default: 2019-10-01].")
def generate(
    output: str,
    events: int,
    seed: int,
    users: int | None,
    products: int | None,
    days: int | None,
    start: datetime | None,
) -> None:
    """Make the event log of a synthetic shop, of any size.

    Event mix, gaps, funnel, session lengths, hours and popularity follow the published figures of the
    REES46 months; users have tastes that a recommender can learn, and types (browser, bargain hunter, loyal
    buyer and others), which are written beside the log.

    \b
    Example:
      vitrine generate --events 1000000 --output shop.synthetic.csv
    """
    from app.core.folders import local_path
    from app.synthetic import START
    from app.synthetic import generate as make

    def progress(done: int, total: int, written: int) -> None:
        say(f"[{done:>2}/{total}] days: {written:>12,} events")

    with guarded():
        try:
            target = local_path(output)
        except ValueError as error:
            raise InputError(f"--output {output}: {error}") from None
        first = start.date() if start else START
        shop = make(target, events, seed, users=users, products=products, days=days, start=first, progress=progress)
        click.echo(str(shop))


@click.command()
def settings() -> None:
    """List every setting with its variable, default and meaning."""
    for name, declared in Settings.model_fields.items():
        click.echo(f"VITRINE_{name.upper()} [{declared.default}]\n    {declared.description}")
