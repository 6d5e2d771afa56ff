"""The report: one offline HTML page about a training run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from app.core.files import write_text
from app.report import exploration, lists, process, quality, segments
from app.report.blocks import Chart, Section
from app.report.text import count, percent
from app.report.theme import style

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    """A key number of the header; `state` is "good" or "bad" where the number is a verdict."""

    label: str
    value: str
    note: str = ""
    state: str = ""


def write_report(run: Mapping[str, Any], path: Path) -> None:
    """Write the report of a run as one self-contained HTML file.

    Parameters
    ----------
    run
        JSON-able results of the stages, see `render_report`.
    path
        File to write; its folder is made where missing.
    """
    html = render_report(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)


def render_report(run: Mapping[str, Any]) -> str:
    """The report's HTML: charts inline, nothing loaded from elsewhere, same input, same text.

    Parameters
    ----------
    run
        `version`, `created` (ISO time), `events_source`, `synthetic`, `timezone`, and the results
        `exploration`, `segments`, `profiles`, `quality`, `gate`, `recommendations`, `stages`,
        `paths`. A key that is absent leaves its section out; one that is empty says "no data".
    """
    with style():
        sections = _sections(run)
    if run.get("synthetic"):
        sections = [_labelled(part) for part in sections]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["svg"] = Markup  # our own drawing; matplotlib has escaped the names in it
    environment.tests["chart"] = lambda block: isinstance(block, Chart)
    version = run.get("version")
    return environment.get_template("page.html.j2").render(
        title=f"Training run {version}" if version else "Analysis of an event log",
        created=run.get("created"),
        source=run.get("events_source"),
        zone=run.get("timezone", "UTC"),
        synthetic=bool(run.get("synthetic")),
        tiles=tiles(run),
        sections=sections,
    )


def _sections(run: Mapping[str, Any]) -> list[Section]:
    found = []
    if "exploration" in run:
        found.append(exploration.section(run["exploration"] or {}, str(run.get("timezone", "UTC"))))
    if "segments" in run:
        found.append(segments.segments(run["segments"] or {}))
    if "profiles" in run:
        found.append(segments.profiles(run["profiles"] or []))
    if "quality" in run:
        found.append(quality.section(run["quality"] or {}))
    if "recommendations" in run:
        found.append(lists.section(run["recommendations"] or {}))
    if "stages" in run or "paths" in run:
        found.append(process.section(run.get("stages") or [], run.get("paths") or {}))
    return found


def _labelled(section: Section) -> Section:
    """The section with every caption saying that the data are synthetic."""
    blocks = [replace(block, caption=f"Synthetic data. {block.caption}".strip()) for block in section.blocks]
    return replace(section, blocks=blocks)


def tiles(run: Mapping[str, Any]) -> list[list[Tile]]:
    """The key numbers of what was measured: a row on the shop, a row on the models."""
    rows = (_shop_tiles(run.get("exploration") or {}), _model_tiles(run))
    return [row for row in rows if row]


def _model_tiles(run: Mapping[str, Any]) -> list[Tile]:
    found = []
    measured = run.get("quality") or {}
    rows = measured.get("rows") or []
    for task in dict.fromkeys([*(measured.get("tasks") or {}), *(row["task"] for row in rows)]):
        headline = quality.headline(task, [row for row in rows if row["task"] == task])
        if headline:
            found.append(Tile(*headline))
    gate = run.get("gate")
    if gate:
        verdict, state = ("Published", "good") if gate.get("published") else ("Refused", "bad")
        note = str(gate.get("reason") or "")
        if gate.get("champion") and str(gate["champion"]) not in note:
            note += f" (champion: {gate['champion']})"
        found.append(Tile("This bundle", verdict, note.strip(), state))
    return found


def _shop_tiles(data: Mapping[str, Any]) -> list[Tile]:
    found = []
    rows, totals = data.get("rows") or {}, data.get("totals") or {}
    if rows:
        lost = f"{count(rows.get('rejected'))} rejected, {count(rows.get('duplicates'))} duplicates"
        found.append(Tile("Rows read", count(rows.get("read")), lost))
    for key in ("users", "products", "sessions"):
        if key in totals:
            found.append(Tile(key.capitalize(), count(totals[key])))
    buying, visits = data.get("buying_sessions"), totals.get("sessions")
    if buying is not None and visits:
        found.append(Tile("Conversion", percent(buying / visits), f"{count(buying)} sessions with a purchase"))
    return found
