"""What exploration says of visits: sessions, the funnel, and users who come back."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.report import charts
from app.report.blocks import Block, Chart, Columns, chart, table_of
from app.report.text import compact, count, decimal, percent, percent_tick
from app.report.theme import EVENT_COLOURS, GREY

Rows = Sequence[Mapping[str, Any]]
MOST_COHORTS = 16  #: rows and columns of the cohort table that fit a picture


def session_lengths(rows: Rows, stats: Mapping[str, Any]) -> Chart:
    """How many events sessions have."""
    title = "Session length"
    if not rows:
        return chart(title)
    total = sum(row["sessions"] for row in rows)
    longest = max(row["events"] for row in rows)
    names = [f"{row['events']}+" if row["events"] == longest == 20 else str(row["events"]) for row in rows]
    shares = [row["sessions"] / total if total else 0.0 for row in rows]
    caption = f"{percent(shares[0])} of {count(total)} sessions have {names[0]} event."
    if stats:
        caption += f" The median is {compact(stats.get('median_events'))},"
        caption += f" the mean {decimal(stats.get('mean_events'))}."
    records = [
        {"events": name, "sessions": row["sessions"], "share": share}
        for name, row, share in zip(names, rows, shares, strict=True)
    ]
    columns: Columns = {
        "events": ("Events", str),
        "sessions": ("Sessions", count),
        "share": ("Share", percent),
    }
    return chart(
        title,
        caption,
        charts.columns(names, shares, "events in the session", "share of sessions (%)", percent_tick),
        table_of(records, columns),
    )


def sessions(stats: Mapping[str, Any]) -> Block:
    """Session length and duration in figures."""
    named: Columns = {
        "count": ("Sessions", count),
        "mean_events": ("Mean events", decimal),
        "std_events": ("Standard deviation of events", decimal),
        "min_events": ("Fewest events", count),
        "p25_events": ("25th percentile of events", count),
        "median_events": ("Median events", count),
        "p75_events": ("75th percentile of events", count),
        "max_events": ("Most events", count),
        "mean_minutes": ("Mean duration (minutes)", decimal),
        "median_minutes": ("Median duration (minutes)", decimal),
    }
    records = [{"what": text, "value": form(stats.get(key))} for key, (text, form) in named.items()]
    return table_of(
        records,
        {"what": ("Sessions", str), "value": ("Value", str)},
        title="Sessions in figures",
        caption="A session is a visit; its duration runs from its first event to its last.",
    )


def funnel(rows: Rows, direct: float | None) -> Chart:
    """Sessions that reach each step."""
    title = "Funnel from view to purchase"
    if not rows:
        return chart(title)
    texts = [f"{count(row['sessions'])} ({percent(row['share'])})" for row in rows]
    colours = [EVENT_COLOURS.get(row["step"], GREY) for row in rows]
    panel = charts.Panel("sessions", [row["sessions"] for row in rows], texts, colours=colours)
    caption = (
        "Sessions with a view; of those, with a cart event; of those, with a purchase. "
        f"{percent(rows[-1]['share'])} go all the way."
    )
    if direct is not None:
        caption += f" {percent(direct)} of the sessions that buy have no cart event, and so are not in the last bar."
    columns: Columns = {
        "step": ("Step", str),
        "sessions": ("Sessions", count),
        "share": ("Share of the first step", percent),
    }
    return chart(title, caption, charts.bars([row["step"] for row in rows], [panel]), table_of(rows, columns))


def cohorts(rows: Rows) -> Chart:
    """Users who come back, week after week."""
    title = "Users who come back, by first week"
    if not rows:
        return chart(title, wide=True)
    starts = sorted({str(row["cohort"]) for row in rows})[-MOST_COHORTS:]
    weeks = range(1, min(max(int(row["week"]) for row in rows) + 1, MOST_COHORTS + 1))
    sizes = {str(row["cohort"]): row["users"] for row in rows if int(row["week"]) == 0}
    cells = {
        (starts.index(str(row["cohort"])), int(row["week"]) - 1): float(row["share"])
        for row in rows
        if str(row["cohort"]) in starts and int(row["week"]) in weeks
    }
    if not cells:
        return chart(title, "The log ends in the week in which it begins.", wide=True)
    after = [row["share"] for row in rows if int(row["week"]) == 1]
    caption = "Share of the users first seen in a week (their number in brackets) who are seen again later."
    if after:
        caption += f" One week later it is {percent(min(after))} to {percent(max(after))}."
    names = [f"{start} ({count(sizes.get(start))})" for start in starts]
    figure = charts.heatmap(
        names, [str(week) for week in weeks], cells, "weeks since the first", "first week, from", percent
    )
    columns: Columns = {
        "cohort": ("First week from", str),
        "week": ("Weeks later", count),
        "users": ("Users", count),
        "share": ("Share", percent),
    }
    return chart(title, caption, figure, table_of(rows, columns), wide=True)
