"""The section on carts: what is left in them, and how long a purchase takes."""

from collections.abc import Sequence
from itertools import pairwise

from app.insight.behaviour_results import CartOutcome, Carts, CartTimes, LeftBehind
from app.report import charts
from app.report.blocks import Block, Chart, Section, chart, table_of
from app.report.text import compact, count, decimal, duration, label, percent, percent_tick
from app.report.theme import GREEN, GREY, ORANGE, PURPLE

TITLE = "What is left in carts?"
ENDS = {
    "bought": ("bought in time", GREEN),
    "removed": ("taken out again", PURPLE),
    "left": ("left behind", ORANGE),
    "open": ("not decided yet", GREY),
}
DAY, HOUR, MINUTE = 86_400, 3_600, 60


def section(found: Carts | None, priced: bool, categorised: bool) -> Section:
    """What becomes of cart lines, what is left, and time to purchase."""
    if found is None:
        return Section("carts", TITLE, "The log has no cart events, so what is left in carts can't be told.", [])
    ends = [row for row in found.outcomes if row.lines]
    blocks: list[Block] = [outcomes(ends)] if ends else []
    if found.times and found.times.bars:
        blocks.append(times(found.times, found.window_hours))
    if found.products:
        blocks.append(left(found.products, "products", priced))
    if found.categories:
        blocks.append(left(found.categories, "categories", priced))
    return Section("carts", TITLE, _intro(found, priced, categorised), blocks)


def _intro(found: Carts, priced: bool, categorised: bool) -> str:
    told = [
        "A cart line is a product that a user has put into the cart. It is left behind when, in "
        f"{count(found.window_hours)} hours after its last cart event, it was neither bought nor taken out."
    ]
    ends = {row.outcome: row for row in found.outcomes}
    decided = sum(row.lines for name, row in ends.items() if name != "open")
    waiting = sum(row.lines for row in found.outcomes) - decided
    if waiting and decided == ends["bought"].lines:  # only these are known at once
        told.append(f"None is known to be left: {count(waiting)} lines are not decided yet.")
    elif decided:
        gone = ends["left"]
        worth = f", worth {compact(gone.value)} in shop currency" if gone.value is not None else ""
        told.append(f"{count(gone.lines)} lines were left{worth}: {percent(gone.lines / decided)} of all decided.")
    if ends and not ends["bought"].lines:
        told.append("Nothing that was in a cart was bought in time.")
    if not priced:
        told.append("The log has no prices, so lines are counted, not valued.")
    if not categorised:
        told.append("It has no categories either." if not priced else "The log has no categories.")
    return " ".join(told)


def outcomes(rows: Sequence[CartOutcome]) -> Chart:
    """Cart lines by what became of them."""
    total = sum(row.lines for row in rows)
    most = max(rows, key=lambda row: row.lines)
    names = [ENDS[row.outcome][0] for row in rows]
    texts = [f"{count(row.lines)} ({percent(row.lines / total)})" for row in rows]
    panel = charts.Panel(
        "cart lines", [row.lines for row in rows], texts, colours=[ENDS[row.outcome][1] for row in rows]
    )
    columns = [
        ("End", lambda row: ENDS[row.outcome][0]),
        ("Cart lines", lambda row: count(row.lines)),
        ("Share", lambda row: percent(row.lines / total)),
    ]
    if any(row.value is not None for row in rows):
        columns.append(("Value (shop currency)", lambda row: decimal(row.value)))
    return chart(
        "What becomes of cart lines",
        f"Of {count(total)} lines most, {percent(most.lines / total)}, are {ENDS[most.outcome][0]}.",
        charts.bars(names, [panel]),
        table_of(rows, columns),
    )


def left(rows: Sequence[LeftBehind], kind: str, priced: bool) -> Chart:
    """The products or categories of which most is left."""
    shares = [row.left / row.decided for row in rows]
    values = [row.value if priced else row.left for row in rows]
    texts = [f"{compact(value)} ({percent(share)} of its lines)" for value, share in zip(values, shares, strict=True)]
    form = decimal if priced else count
    exact = [f"{form(value)} ({percent(share)} of its lines)" for value, share in zip(values, shares, strict=True)]
    axis = "value left behind (shop currency)" if priced else "lines left behind"
    columns = [(kind.capitalize(), lambda row: row.name)]
    if any(row.category for row in rows):
        columns.append(("Category", lambda row: row.category or ""))
    words = len(columns)
    columns += [
        ("Lines left", lambda row: count(row.left)),
        ("Lines decided", lambda row: count(row.decided)),
        ("Share left", lambda row: percent(row.left / row.decided)),
    ]
    if priced:
        columns.append(("Value left (shop currency)", lambda row: decimal(row.value)))
    return chart(
        f"Left behind, by {'product' if kind == 'products' else 'category'}",
        f"Most is left of {label(rows[0].name, 60)}: {count(rows[0].left)} lines, {percent(shares[0])} of its decided "
        "ones.",
        charts.bars(
            [row.name for row in rows], [charts.Panel(axis, values, texts, colours=ORANGE, exact=exact)], room=0.75
        ),
        table_of(rows, columns, left=range(words)),
    )


def times(found: CartTimes, window_hours: int) -> Chart:
    """How long a purchase takes after a product was first put into the cart."""
    edges = [_length(row.below_seconds) for row in found.bars if row.below_seconds is not None]
    between = [f"{low}–{high}" for low, high in pairwise(edges)]
    names = [f"< {edges[0]}", *between, f"> {edges[-1]}"]
    shares = [row.purchases / found.purchases for row in found.bars]
    return chart(
        "Time from cart to purchase",
        f"From the first cart event of a product to its purchase, however long: half within "
        f"{duration(found.median_seconds)}, three quarters within {duration(found.p75_seconds)}, nine tenths within "
        f"{duration(found.p90_seconds)}. A line counts as left after {count(window_hours)} h.",
        charts.columns(names, shares, "time from cart to purchase", "share of purchases (%)", percent_tick),
        table_of(
            list(zip(names, found.bars, shares, strict=True)),
            [
                ("Time", lambda row: row[0]),
                ("Purchases", lambda row: count(row[1].purchases)),
                ("Share", lambda row: percent(row[2])),
            ],
        ),
    )


def _length(seconds: int) -> str:
    size, unit = next(one for one in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")) if seconds >= one[0])
    return f"{seconds // size} {unit}"
