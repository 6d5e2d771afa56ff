"""The sections on customers: RFM, who comes back, and what they are expected to bring."""

from collections.abc import Sequence
from dataclasses import replace

from app.insight.customer_results import Customers, Lifecycle, PeriodCohorts, RfmRow
from app.report import charts, grids, value
from app.report.blocks import Block, Section, Table, chart, table_of
from app.report.text import compact, count, decimal, percent
from app.report.theme import BLUE, GREEN, GREY, ORANGE

MORE_THAN_A_LINE = 3  #: points that show more than two numbers beside each other would
MOST_PERIODS = 16  #: rows and columns of a table of cohorts that fit a picture
ONE_PERIOD = "the log ends in the {} in which it begins."
RFM_TITLE = "Whom to keep, whom to win back?"
WORDS = {"visits": "visit", "purchases": "buy"}


def sections(found: Customers) -> list[Section]:
    """A section for each question that the log can answer."""
    made = [coming_back(found)]
    if found.rfm:
        made.insert(0, rfm(found.rfm))
    elif any(row.kind == "purchases" and _any_users(row) for row in found.lifecycle):
        made.insert(
            0, Section("rfm", RFM_TITLE, "No purchase has a known price, so nobody is known to have spent money.", [])
        )
    if found.value is not None and found.value.rows:
        made.append(value.section(found.value))
    return [section for section in made if section.blocks or section.title == RFM_TITLE]


def rfm(rows: Sequence[RfmRow]) -> Section:
    """Customers and money by RFM name."""
    intro = (
        "Customers who have spent money, by fifths of how recently and how often they bought. Fifths are relative to "
        "this shop: there are champions in a dying shop too."
    )
    once = [row.name for row in rows if row.mean_purchases == 1]
    if len(once) == len(rows):
        return Section("rfm", RFM_TITLE, "Nobody has bought twice, so how often they buy tells nobody apart.", [])
    if len(once) > 1:
        intro += (
            f" Of {', '.join(once[:-1])} and {once[-1]} everybody has bought once: what sets these apart is how recent "
            "it was, and else chance."
        )
    names, most, money = (
        [row.name for row in rows],
        max(rows, key=lambda row: row.customers),
        max(rows, key=lambda row: row.revenue),
    )
    people = charts.Panel(
        "customers", [row.customers for row in rows], [f"{count(row.customers)} ({percent(row.share)})" for row in rows]
    )
    spent = charts.Panel(
        "spent in all (shop currency)",
        [row.revenue for row in rows],
        [f"{compact(row.revenue)} ({percent(row.revenue_share)})" for row in rows],
        colours=ORANGE,
        exact=[f"{decimal(row.revenue)} ({percent(row.revenue_share)})" for row in rows],
    )
    pictures = [
        chart(
            "Customers by RFM name",
            f"The most frequent name is {most.name}: {percent(most.share)} of the customers.",
            charts.bars(names, [people]),
        ),
        chart(
            "What they spent, by RFM name",
            f"{money.name}, {percent(money.share)} of the customers, spent {percent(money.revenue_share)} of it all.",
            charts.bars(names, [spent]),
        ),
    ]
    table = table_of(
        rows,
        [
            ("Name", lambda row: row.name),
            ("Customers", lambda row: count(row.customers)),
            ("Share", lambda row: percent(row.share)),
            ("Spent (shop currency)", lambda row: decimal(row.revenue)),
            ("Share of spending", lambda row: percent(row.revenue_share)),
            ("Purchases, mean", lambda row: decimal(row.mean_purchases)),
            ("Days since the last, mean", lambda row: decimal(row.mean_recency_days, 1)),
        ],
        title="RFM in figures",
        wide=True,
    )
    return Section("rfm", RFM_TITLE, intro, [*pictures, table])


def coming_back(found: Customers) -> Section:
    """Cohorts and lifecycle, of visits and of purchases; once where both are the same."""
    kinds = [kind for kind in WORDS if kind == "purchases" or not _only_purchases(found)]
    blocks: list[Block] = []
    for kind in kinds:
        blocks += [cohorts(row) for row in found.cohorts if row.kind == kind and any(_sizes(row))]
        blocks += [lifecycle(row) for row in found.lifecycle if row.kind == kind and _any_users(row)]
    intro = (
        "Of those who were there for the first time in a period, how many came again; and what became of them since."
    )
    if not any(row.kind == "purchases" and _any_users(row) for row in found.lifecycle):
        intro += " The log has no purchases: who buys again and what customers will bring can't be told."
    if kinds == ["purchases"]:
        intro += " The log holds purchases alone."
    return Section("coming-back", "Who comes back?", intro, blocks)


def _only_purchases(found: Customers) -> bool:
    rows = {cohorts.kind: cohorts.rows for cohorts in found.cohorts}
    return "visits" in rows and rows["visits"] == rows.get("purchases")


def _sizes(found: PeriodCohorts) -> list[int]:
    return [row.users[0] for row in found.rows]


def _any_users(found: Lifecycle) -> bool:
    return any(row.new for row in found.weeks)


def cohorts(found: PeriodCohorts) -> Block:
    """The triangle of a kind: of each cohort, the share active later; periods to come stay blank."""
    verb, period = WORDS[found.kind], found.period
    title = f"Users who {verb} again, by first {period}"
    shown = [row for row in found.rows if row.users[0]][-MOST_PERIODS:]
    later = range(1, min(max(len(row.users) for row in shown), MOST_PERIODS + 1))
    if not later:
        return chart(title, ONE_PERIOD.format(period), wide=True)
    cells = {
        (place, after - 1): row.users[after] / row.users[0]
        for place, row in enumerate(shown)
        for after in later
        if after < len(row.users)
    }
    began = f"The first {period} holds everybody known before the log began."
    caption = f"Of those who {verb} for the first time in a {period}, how many {verb} in a later one. {began}"
    whole = "" if found.last_is_whole else f" The data end within a {period}, so the last share of each row will grow."
    starts = [str(row.start) if period == "week" else f"{row.start:%Y-%m}" for row in shown]
    first = f"first {period}{' from' * (period == 'week')}"
    table = Table(
        headers=[first.capitalize(), "Users", *(f"{after} {period}{'s' * (after > 1)} later" for after in later)],
        rows=[
            [
                start,
                count(row.users[0]),
                *(count(row.users[after]) if after < len(row.users) else "" for after in later),
            ]
            for start, row in zip(starts, shown, strict=True)
        ],
    )
    names = [f"{start} ({count(row.users[0])})" for start, row in zip(starts, shown, strict=True)]
    if not any(cells.values()):
        return Table(table.headers, table.rows, title, f"{caption} Nobody did.{whole}", wide=len(later) > 1)
    if len(later) == 1:  # one share is no picture
        caption = f"{caption} {percent(cells[0, 0])} of the first {period}'s did."
        return Table(table.headers, table.rows, title, caption + whole)
    caption = (
        f"Of those who {verb} for the first time in a {period} (their number in brackets), the share that {verb} in a "
        f"later one. {began}"
    )
    figure = grids.heatmap(names, list(map(str, later)), cells, f"{period}s later", first, percent)
    return chart(title, caption + whole, figure, table, wide=True)


def lifecycle(found: Lifecycle) -> Block:
    """New, returning, resurrected and dormant users, week by week; two weeks are no picture."""
    verb = WORDS[found.kind]
    title = f"Users who {verb}, from week to week"
    weeks = found.weeks
    if len(weeks) < 2:
        return chart(title, ONE_PERIOD.format("week"), wide=True)
    colours = {"new": GREEN, "returning": BLUE, "resurrected": ORANGE, "dormant": GREY}
    counts = {state: [getattr(row, state) for row in weeks] for state in colours}
    states = [state for state in colours if any(counts[state])]
    table = table_of(
        weeks,
        [
            ("Week from", lambda row: str(row.week)),
            *((state.capitalize(), lambda row, state=state: count(getattr(row, state))) for state in states),
        ],
    )
    meanings = {
        "new": f"New: {verb} for the first time.",
        "returning": "Returning: did in the week before too.",
        "resurrected": "Resurrected: did earlier, not in the week before.",
        "dormant": "Dormant: did in the week before, not in this one.",
    }
    caption = " ".join(meanings[state] for state in states)
    if not found.last_is_whole:
        caption += " The last week is not over."
    if len(weeks) < MORE_THAN_A_LINE:
        return replace(table, title=title, caption=caption)
    series = [charts.Line(state, counts[state], colours[state]) for state in states]
    return chart(
        title,
        caption,
        charts.days([row.week for row in weeks], series, "users per week", "week from"),
        table,
        wide=True,
    )
