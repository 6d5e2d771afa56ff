"""Figures of visits: how long sessions are."""

from app.insight.results import SessionFigures, SessionLengthRow
from app.report import charts
from app.report.blocks import Block, Chart, chart, table_of
from app.report.text import compact, count, decimal, percent, percent_tick
from app.report.theme import BLUE, GREY


def session_lengths(figures: SessionFigures) -> Chart:
    """How many events sessions have."""
    title = "Session length"
    rows = figures.lengths
    if not rows:
        return chart(title)
    total = sum(row.sessions for row in rows)
    names = [_length(row, figures.lengths_cap) for row in rows]
    shares = [row.sessions / total if total else 0.0 for row in rows]
    several = [row.to is not None or row.events == figures.lengths_cap for row in rows]
    usual = max(range(len(rows)), key=lambda place: (not several[place], shares[place]))
    grey = " Grey holds several lengths in one bar." if any(several) else ""
    return chart(
        title,
        f"Of {count(total)} sessions {percent(shares[usual])} have {names[usual]} event{'s' * (names[usual] != '1')}. "
        f"The median is {compact(figures.median_events)}, the mean {decimal(figures.mean_events)}.{grey}",
        charts.columns(
            names,
            shares,
            "events in the session",
            "share of sessions (%)",
            percent_tick,
            [GREY if more else BLUE for more in several],
        ),
        table_of(
            list(zip(names, rows, shares, strict=True)),
            [
                ("Events", lambda row: row[0]),
                ("Sessions", lambda row: count(row[1].sessions)),
                ("Share", lambda row: percent(row[2])),
            ],
        ),
    )


def _length(row: SessionLengthRow, cap: int) -> str:
    if row.events == cap:
        return f"{row.events}+"
    return str(row.events) if row.to is None else f"{row.events}–{row.to}"


def sessions(figures: SessionFigures) -> Block:
    """Session length and duration in figures."""
    rows = [
        ("Sessions", count(figures.count)),
        ("Sessions with a purchase", count(figures.buying)),
        ("Mean events", decimal(figures.mean_events)),
        ("Standard deviation of events", decimal(figures.std_events)),
        ("Fewest events", count(figures.min_events)),
        ("25th percentile of events", count(figures.p25_events)),
        ("Median events", count(figures.median_events)),
        ("75th percentile of events", count(figures.p75_events)),
        ("Most events", count(figures.max_events)),
    ]
    if figures.mean_minutes and figures.mean_minutes >= 0.005:  # else orders are sessions: all of a moment
        rows += [
            ("Mean duration (minutes)", decimal(figures.mean_minutes)),
            ("Median duration (minutes)", decimal(figures.median_minutes)),
        ]
    return table_of(
        rows,
        [("Sessions", lambda row: row[0]), ("Value", lambda row: row[1])],
        title="Sessions in figures",
        caption="A session is a visit; its duration runs from its first event to its last.",
    )
