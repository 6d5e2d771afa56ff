"""Figures of visits: sessions, the funnel, and users who come back."""

from collections.abc import Sequence

from app.insight.results import CohortCell, Funnel, SessionFigures
from app.report import charts, grids
from app.report.blocks import Block, Chart, chart, table_of
from app.report.text import compact, count, decimal, percent, percent_tick
from app.report.theme import EVENT_COLOURS, GREY

MOST_COHORTS = 16  #: rows and columns of the cohort table that fit a picture


def session_lengths(figures: SessionFigures) -> Chart:
    """How many events sessions have."""
    title = "Session length"
    rows = figures.lengths
    if not rows:
        return chart(title)
    total = sum(row.sessions for row in rows)
    names = [f"{row.events}+" if row.events == figures.lengths_cap else str(row.events) for row in rows]
    shares = [row.sessions / total if total else 0.0 for row in rows]
    return chart(
        title,
        f"{percent(shares[0])} of {count(total)} sessions have {names[0]} event. "
        f"The median is {compact(figures.median_events)}, the mean {decimal(figures.mean_events)}.",
        charts.columns(names, shares, "events in the session", "share of sessions (%)", percent_tick),
        table_of(
            list(zip(names, rows, shares, strict=True)),
            [
                ("Events", lambda row: row[0]),
                ("Sessions", lambda row: count(row[1].sessions)),
                ("Share", lambda row: percent(row[2])),
            ],
        ),
    )


def sessions(figures: SessionFigures) -> Block:
    """Session length and duration in figures."""
    rows = [
        ("Sessions", count(figures.count)),
        ("Mean events", decimal(figures.mean_events)),
        ("Standard deviation of events", decimal(figures.std_events)),
        ("Fewest events", count(figures.min_events)),
        ("25th percentile of events", count(figures.p25_events)),
        ("Median events", count(figures.median_events)),
        ("75th percentile of events", count(figures.p75_events)),
        ("Most events", count(figures.max_events)),
        ("Mean duration (minutes)", decimal(figures.mean_minutes)),
        ("Median duration (minutes)", decimal(figures.median_minutes)),
    ]
    return table_of(
        rows,
        [("Sessions", lambda row: row[0]), ("Value", lambda row: row[1])],
        title="Sessions in figures",
        caption="A session is a visit; its duration runs from its first event to its last.",
    )


def funnel(found: Funnel) -> Chart:
    """Sessions that reach each step."""
    title = "Funnel from view to purchase"
    rows = found.steps
    if not rows:
        return chart(title)
    texts = [f"{count(row.sessions)} ({percent(row.share)})" for row in rows]
    colours = [EVENT_COLOURS.get(row.step, GREY) for row in rows]
    panel = charts.Panel("sessions", [row.sessions for row in rows], texts, colours=colours)
    return chart(
        title,
        "Sessions with a view; of those, with a cart event; of those, with a purchase. "
        f"{percent(rows[-1].share)} go all the way. {percent(found.direct_purchase_share)} of the sessions that "
        "buy have no cart event, and so are not in the last bar.",
        charts.bars([row.step for row in rows], [panel]),
        table_of(
            rows,
            [
                ("Step", lambda row: row.step),
                ("Sessions", lambda row: count(row.sessions)),
                ("Share of the first step", lambda row: percent(row.share)),
            ],
        ),
    )


def cohorts(rows: Sequence[CohortCell]) -> Chart:
    """Users who come back, week after week."""
    title = "Users who come back, by first week"
    if not rows:
        return chart(title, wide=True)
    starts = sorted({row.cohort for row in rows})[-MOST_COHORTS:]
    weeks = range(1, min(max(row.week for row in rows) + 1, MOST_COHORTS + 1))
    sizes = {row.cohort: row.users for row in rows if row.week == 0}
    cells = {
        (starts.index(row.cohort), row.week - 1): row.share
        for row in rows
        if row.cohort in starts and row.week in weeks
    }
    if not cells:
        return chart(title, "The log ends in the week in which it begins.", wide=True)
    after = [row.share for row in rows if row.week == 1]
    caption = "Share of the users first seen in a week (their number in brackets) who are seen again later."
    if after:
        caption += f" One week later it is {percent(min(after))} to {percent(max(after))}."
    names = [f"{start} ({count(sizes.get(start))})" for start in starts]
    figure = grids.heatmap(
        names, [str(week) for week in weeks], cells, "weeks since the first", "first week, from", percent
    )
    table = table_of(
        rows,
        [
            ("First week from", lambda row: str(row.cohort)),
            ("Weeks later", lambda row: count(row.week)),
            ("Users", lambda row: count(row.users)),
            ("Share", lambda row: percent(row.share)),
        ],
    )
    return chart(title, caption, figure, table, wide=True)
