"""The section on paths: what people do next, drawn as heat maps."""

from collections.abc import Sequence

from app.insight.behaviour_results import Journeys, Transition
from app.report import grids
from app.report.blocks import Block, Chart, Section, Table, chart
from app.report.text import count, label, percent, words

TITLE = "What do people do next?"
START, END, OTHERS = "start", "end", "other categories"


def section(found: Journeys | None, categorised: bool) -> Section:
    """From event to event, and from category to category."""
    if found is None:
        return Section("paths", TITLE, "The log has one type of event alone, so nothing leads anywhere.", [])
    intro = "Of what came right before (rows), the share of what came right after in the same session (columns)."
    if not categorised:
        intro += " The log has no categories, so there is no table of them."
    blocks: list[Block] = []
    if found.events:
        blocks.append(matrix(found.events, "From event to event", "event"))
    if found.categories:
        blocks.append(matrix(found.categories, "From category to category", "category"))
    return Section("paths", TITLE, intro, blocks)


def matrix(rows: Sequence[Transition], title: str, kind: str) -> Chart:
    """Shares of what came after, by what came before."""
    before = list(dict.fromkeys(row.before for row in rows))
    after = [*dict.fromkeys(row.after for row in _by_rows(rows, before)), END]
    cells = {(before.index(row.before), after.index(row.after)): row.share for row in rows}
    times = {(row.before, row.after): row.times for row in rows}
    moved = [row for row in rows if START != row.before != row.after != END and OTHERS not in (row.before, row.after)]
    caption = "Each row adds up to 100 %."
    if kind == "category":
        caption = f"From a product to another one; its own cart and purchase are no step. {caption}"
    if moved:
        most = max(moved, key=lambda row: row.times)
        named = " between those named" * (OTHERS in before)
        caption += (
            f" The most frequent change{named} is from {label(words(most.before))} to {label(words(most.after))}: "
            f"{percent(most.share)} of what comes after."
        )
    return chart(
        title,
        caption,
        grids.heatmap(
            [label(words(name)) for name in before],
            [label(words(name), 16) for name in after],
            cells,
            f"{kind} after",
            f"{kind} before",
            percent,
        ),
        Table(
            headers=["Before", *(words(name) for name in after)],
            rows=[[words(name), *(count(times.get((name, other), 0)) for other in after)] for name in before],
        ),
        wide=True,
    )


def _by_rows(rows: Sequence[Transition], before: Sequence[str]) -> list[Transition]:
    """What came after anything, in the order of what came before; the end comes last of all."""
    place = {name: number for number, name in enumerate(before)}
    inner = [row for row in rows if row.after != END]
    return sorted(inner, key=lambda row: place.get(row.after, len(place)))
