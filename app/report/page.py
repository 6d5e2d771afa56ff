"""The report: one offline HTML page about a training run."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from app.core.files import write_text
from app.core.templates import templates
from app.evaluate.results import Quality
from app.events.vocabulary import PURCHASE
from app.insight.figures import Figures
from app.insight.results import Exploration
from app.report import behaviour, customers, exploration, lists, process, quality, segments
from app.report.blocks import Chart, Section, answered
from app.report.text import count, percent
from app.report.theme import style
from app.results.run import Cleaning, RunResult

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    """A key number of the header; `state` is "good" or "bad" where the number is a verdict."""

    label: str
    value: str
    note: str = ""
    state: str = ""


def write_report(result: RunResult, path: Path, shop: Sequence[Section] | None = None) -> None:
    """Write the report of a run as one self-contained HTML file; its folder is made where missing.

    `shop`: what `shop_sections` has drawn of the run already, if it has.
    """
    html = render_report(result, shop)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)


def render_report(result: RunResult, shop: Sequence[Section] | None = None) -> str:
    """The report's HTML: charts inline, nothing loaded from elsewhere, same input, same text.

    A part that the run did not make has no section; what the log has no data for is named at its section's head.
    """
    if shop is None:
        found = Figures(result.customers, result.behaviour, result.segments, result.profiles)
        shop = shop_sections(result.cleaning, result.exploration, result.timezone, found)
    with style():
        sections = [*shop, *(answered(section) for section in _model_sections(result))]
    if result.synthetic:
        sections = [_labelled(part) for part in sections]
    environment = templates(HERE)
    environment.filters["svg"] = Markup  # our own drawing; matplotlib has escaped the names in it
    environment.filters["script"] = Markup  # likewise; the page's policy names its checksum, so that no other one runs
    environment.tests["chart"] = _is_chart
    script = (HERE / "page.js").read_text()
    return environment.get_template("page.html.j2").render(
        title=f"{'Run' if result.quality is None else 'Training run'} {result.version}",
        created=result.created,
        source=result.events_source,
        zone=result.timezone,
        synthetic=result.synthetic,
        tiles=tiles(result),
        sections=sections,
        script=script,
        checksum=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def shop_sections(
    cleaning: Cleaning, explored: Exploration | None, timezone: str, found: Figures
) -> tuple[Section, ...]:
    """The report's first sections, drawn: on the shop and its customers, all that needs no recommender."""
    with style():
        sections = [exploration.section(cleaning, explored, timezone)]
        if found.behaviour is not None:
            sections += behaviour.sections(found.behaviour)
        if found.segments is not None:
            sections.append(segments.segments(found.segments))
        if found.profiles is not None:
            sections.append(
                segments.profiles(found.profiles, found.segments is None or segments.are_priced(found.segments))
            )
        if found.customers is not None:
            sections += customers.sections(found.customers)
        return tuple(answered(section) for section in sections)


def _model_sections(result: RunResult) -> list[Section]:
    found = []
    if result.quality is not None:
        found.append(quality.section(result.quality, result.ranker))
    if result.recommendations is not None:
        found.append(lists.section(result.recommendations))
    return [*found, process.section(result.stages, result.paths)]


def _is_chart(block: object) -> bool:
    return isinstance(block, Chart)


def _labelled(section: Section) -> Section:
    """The section with every caption saying that the data are synthetic."""
    blocks = [replace(block, caption=f"Synthetic data. {block.caption}".strip()) for block in section.blocks]
    return replace(section, blocks=blocks)


def tiles(result: RunResult) -> list[list[Tile]]:
    """The key numbers of what was measured: a row on the shop, a row on the models."""
    rows = (_shop_tiles(result), _model_tiles(result))
    return [row for row in rows if row]


def _model_tiles(result: RunResult) -> list[Tile]:
    found = _quality_tiles(result.quality) if result.quality else []
    gate = result.gate
    if gate:
        verdict, state = ("Published", "good") if gate.published else ("Refused", "bad")
        note = gate.reason
        if gate.champion and gate.champion not in note:
            note += f" (champion: {gate.champion})"
        found.append(Tile("This bundle", verdict, note, state))
    return found


def _quality_tiles(measured: Quality) -> list[Tile]:
    headlines = [quality.headline(task, rows) for task, rows in quality.by_task(measured).items()]
    return [Tile(*headline) for headline in headlines if headline]


def _shop_tiles(result: RunResult) -> list[Tile]:
    rows = result.cleaning
    lost = f"{count(rows.rejected)} rejected, {count(rows.duplicates)} duplicates"
    if rows.left_out:
        lost += f", {count(sum(rows.left_out.values()))} left out"
    found = [Tile("Rows read", count(rows.read), lost)]
    if result.exploration is not None:
        events, visits = result.exploration.events, result.exploration.sessions.count
        buying = result.exploration.sessions.buying
        found += [
            Tile("Users", count(events.users)),
            Tile("Products", count(events.products)),
            Tile("Sessions", count(visits)),
        ]
        if visits and any(row.events and row.event_type != PURCHASE for row in result.exploration.events.event_mix):
            found.append(Tile("Conversion", percent(buying / visits), f"{count(buying)} sessions with a purchase"))
    return found
