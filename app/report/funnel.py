"""The section on the funnel: where visitors drop out, and what they do instead."""

from collections.abc import Sequence
from itertools import pairwise

from app.insight.behaviour_results import Funnel, FunnelGroup, Instead
from app.report import charts
from app.report.blocks import Block, Chart, Section, chart, table_of
from app.report.text import compact, count, label, percent, percent_tick, words
from app.report.theme import EVENT_COLOURS

TITLE = "Where do visitors drop out?"
#: What came next, by its type and whether it was of the same product, in the order of a phrase "it …".
NEXT = {
    (None, False): "left",
    ("view", True): "viewed the product again",
    ("view", False): "viewed another product",
    ("cart", True): "put it in again",
    ("cart", False): "put in another one",
    ("remove_from_cart", True): "took it out of the cart",
    ("remove_from_cart", False): "took another one out",
    ("purchase", True): "bought it without a cart",
    ("purchase", False): "bought another one",
}


def section(found: Funnel | None, priced: bool, categorised: bool) -> Section:
    """The steps by session and by user, what came instead, and by what they differ."""
    if found is None or not found.steps:
        return Section(
            "funnel", TITLE, "The log has no two of views, carts and purchases, so there are no steps to follow.", []
        )
    blocks: list[Block] = [
        steps(found.steps, found.total.sessions, "sessions"),
        *([steps(found.steps, found.total.users, "users")] if found.total.users else []),
        *(
            instead([row for row in found.instead if row.step == step], step, following)
            for step, following in pairwise(found.steps)
        ),
        *(
            cut(rows, found.steps, by)
            for by, rows in (
                ("segment", found.by_segment),
                ("category", found.by_category),
                ("price", found.by_price),
            )
            if rows
        ),
    ]
    return Section("funnel", TITLE, _intro(found, priced, categorised), blocks)


def _intro(found: Funnel, priced: bool, categorised: bool) -> str:
    days = f"{compact(found.window_days)} day{'' if found.window_days == 1 else 's'}"
    told = [
        f"Steps count in order ({', '.join(found.steps)}), of one product or several; of a user they count within "
        f"{days} from the first one."
    ]
    if found.buying_sessions and len(found.steps) > 2:
        told.append(
            f"{percent(found.direct_sessions / found.buying_sessions)} of {count(found.buying_sessions)} sessions with "
            f"a {found.steps[-1]} have no {found.steps[1]} event, and so do not count at the last step."
        )
    if found.open_users and found.total.users:
        short = found.total.users[0] - found.total.users[-1]
        told.append(
            f"Of {count(short)} users short of the last step {count(found.open_users)} may still get there: their "
            f"{days} were not over when the data ended."
        )
    unknown = [name for name, known in (("prices", priced), ("categories", categorised)) if not known]
    if unknown:
        told.append(f"The log has no {' and no '.join(unknown)}, so the funnel is not cut by them.")
    if priced and not found.by_price:
        told.append("Products differ too little in price for the funnel to be cut by it.")
    return " ".join(told)


def steps(names: Sequence[str], reached: Sequence[int], unit: str) -> Chart:
    """How many sessions or users reach each step."""
    before = (None, *reached)
    rows = [
        (name, number, _share(number, reached[0]), _share(number, last) if last is not None else None)
        for name, number, last in zip(names, reached, before, strict=False)
    ]
    texts = [f"{count(number)} ({percent(share)})" for _, number, share, _ in rows]
    worst = min(rows[1:], key=lambda row: (row[3] is None, row[3]))
    verb = "come" if unit == "users" else "go"
    return chart(
        f"{unit.capitalize()} that reach each step",
        f"{percent(rows[-1][2])} of the {unit} with the first step {verb} all the way. The narrowest place is before "
        f"the {worst[0]}: {percent(worst[3])} of those who could take that step do.",
        charts.bars(names, [charts.Panel(unit, list(reached), texts, colours=[EVENT_COLOURS[name] for name in names])]),
        table_of(
            rows,
            [
                ("Step", lambda row: row[0]),
                (unit.capitalize(), lambda row: count(row[1])),
                ("Share of the first step", lambda row: percent(row[2])),
                ("Share of the step before", lambda row: percent(row[3])),
            ],
        ),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def instead(rows: Sequence[Instead], step: str, following: str) -> Chart:
    """What sessions that stopped at a step did right after it."""
    title = f"What came instead of the {following}"
    if not rows:
        return chart(title, f"No session stopped at the {step}.")
    names = [NEXT[row.event, row.same_product] for row in rows]
    total = sum(row.sessions for row in rows)
    texts = [f"{count(row.sessions)} ({percent(row.share)})" for row in rows]
    return chart(
        title,
        f"Of {count(total)} sessions that reach the {step} and no {following} after it, what came right after the "
        f"{step}: most {names[0]}, {percent(rows[0].share)}.",
        charts.bars(names, [charts.Panel("sessions", [row.sessions for row in rows], texts)]),
        table_of(
            list(zip(names, rows, strict=True)),
            [
                ("What came next", lambda row: row[0]),
                ("Sessions", lambda row: count(row[1].sessions)),
                ("Share", lambda row: percent(row[1].share)),
            ],
        ),
    )


def cut(rows: Sequence[FunnelGroup], names: Sequence[str], by: str) -> Chart:
    """Shares of sessions that reach the later steps, by what they are cut by."""
    panels = []
    for place, step in enumerate(names[1:], start=1):
        shares = [_share(row.sessions[place], row.sessions[0]) for row in rows]
        panels.append(
            charts.Panel(
                f"reach {step} (%)",
                shares,
                [percent(share) for share in shares],
                percent_tick,
                EVENT_COLOURS[step],
            )
        )
    units = ("sessions", "users") if all(row.users for row in rows) else ("sessions",)
    last = [(_share(row.sessions[-1], row.sessions[0]) or 0.0, row.name) for row in rows]
    held = "of the segment" if by == "segment" else f"with all steps within one {by} {'band' if by == 'price' else ''}"
    (most, best), (least, worst) = max(last), min(last)
    return chart(
        f"Steps by {by}",
        f"Share of the sessions {held.strip()} that reach a step. {label(words(best))}: {percent(most)} all the way; "
        f"{label(words(worst))}: {percent(least)}.",
        charts.bars([words(row.name) for row in rows], panels),
        table_of(
            rows,
            [
                (by.capitalize(), lambda row: words(row.name)),
                *(
                    (f"{unit}: {step}", lambda row, unit=unit, place=place: count(getattr(row, unit)[place]))
                    for unit in units
                    for place, step in enumerate(names)
                ),
            ],
        ),
    )
