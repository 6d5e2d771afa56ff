"""The exploration section: what the event log holds."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from app.events.vocabulary import EVENT_TYPES, UNKNOWN
from app.report import charts, visits
from app.report.blocks import Block, Chart, Columns, Section, Table, chart, table_of
from app.report.text import compact, count, decimal, label, percent, percent_tick, words
from app.report.theme import BLUE, EVENT_COLOURS, GREEN, GREY, ORANGE

Rows = Sequence[Mapping[str, Any]]
Builder = Callable[[Any], Block]


def section(data: Mapping[str, Any], zone: str) -> Section:
    """Charts and tables of `run["exploration"]`; what was not measured is left out.

    Parameters
    ----------
    zone
        Time zone of the hours of day.
    """
    # A new chart is one function and one line here.
    builders: dict[str, Builder] = {
        "rows": lambda rows: rows_read(rows, data.get("rejected") or {}, data.get("left_out") or {}),
        "event_mix": event_mix,
        "missing": lambda rows: missing(rows, data.get("prices_not_positive")),
        "sessions": visits.sessions,
        "by_day": by_day,
        "by_hour": lambda rows: by_hour(rows, zone),
        "session_lengths": lambda rows: visits.session_lengths(rows, data.get("sessions") or {}),
        "funnel": lambda rows: visits.funnel(rows, data.get("direct_purchase_share")),
        "price_by_event_type": prices,
        "cohorts": visits.cohorts,
        "top_categories": lambda rows: leaders(rows, "main_category", "categories"),
        "top_brands": lambda rows: leaders(rows, "brand", "brands"),
    }
    blocks: list[Block] = [build(data[key]) for key, build in builders.items() if key in data]
    totals = data.get("totals") or {}
    intro = "What the event log holds, before any model."
    if totals.get("first") and totals.get("last"):
        intro = f"What the event log holds from {totals['first']} to {totals['last']}, before any model."
    return Section("exploration", "Exploration", intro, blocks)


def rows_read(rows: Mapping[str, Any], rejected: Mapping[str, int], left_out: Mapping[str, int]) -> Block:
    """Where every row read went."""
    read = rows.get("read") or 0
    named = {
        "read": "read",
        "kept": "kept",
        "duplicates": "dropped as exact duplicates",
        "rejected": "rejected",
    }
    records = [
        {"what": text, "rows": rows.get(key), "share": (rows.get(key) or 0) / read if read else None}
        for key, text in named.items()
    ]
    records += [
        {"what": f"rejected: {label(reason, 80)}", "rows": n, "share": n / read if read else None}
        for reason, n in rejected.items()
    ]
    records += [
        {"what": f"left out: {label(reason, 80)}", "rows": n, "share": n / read if read else None}
        for reason, n in left_out.items()
    ]
    return table_of(
        records,
        {"what": ("Rows", str), "rows": ("Number", count), "share": ("Share of rows read", percent)},
        title="Where every row read went",
        caption="Rows that cannot be events are kept apart with their reason; exact duplicates count once.",
    )


def event_mix(rows: Rows) -> Chart:
    """Events by type."""
    title = "Events by type"
    if not rows:
        return chart(title)
    most = max(rows, key=lambda row: row["events"])
    total = sum(row["events"] for row in rows)
    texts = [f"{count(row['events'])} ({percent(row['share'])})" for row in rows]
    colours = [EVENT_COLOURS.get(row["event_type"], GREY) for row in rows]
    panel = charts.Panel("events", [row["events"] for row in rows], texts, colours=colours)
    return chart(
        title,
        f"{percent(most['share'])} of {count(total)} events are of the type {words(most['event_type'])}.",
        charts.bars([words(row["event_type"]) for row in rows], [panel]),
        table_of(
            rows,
            {"event_type": ("Event type", words), "events": ("Events", count), "share": ("Share", percent)},
        ),
    )


def missing(rows: Rows, prices_not_positive: int | None) -> Chart:
    """Missing values by column."""
    title = "Missing values by column"
    if not rows:
        return chart(title)
    ordered = sorted(rows, key=lambda row: (-row["missing"], row["column"]))
    texts = [f"{percent(row['share'])} ({count(row['missing'])})" for row in ordered]
    panel = charts.Panel("share of rows (%)", [row["share"] for row in ordered], texts, percent_tick)
    caption = f"{sum(row['missing'] > 0 for row in rows)} of {len(rows)} columns have missing values."
    if prices_not_positive is not None:
        caption += f" {count(prices_not_positive)} prices are zero or below and count as missing later."
    return chart(
        title,
        caption,
        charts.bars([row["column"] for row in ordered], [panel]),
        table_of(
            ordered,
            {"column": ("Column", str), "missing": ("Missing rows", count), "share": ("Share", percent)},
        ),
    )


def _types(rows: Rows) -> list[str]:
    """Event types that occur at all, in the funnel's order."""
    return [kind for kind in EVENT_TYPES if any(row.get(kind) for row in rows)]


def _counts_table(rows: Rows, first: str, header: str) -> Table:
    columns: Columns = {first: (header, str), "events": ("Events", count)}
    return table_of(rows, columns | {kind: (words(kind).capitalize(), count) for kind in _types(rows)})


def by_day(rows: Rows) -> Chart:
    """Events by day and type."""
    title = "Events by day"
    if not rows:
        return chart(title, wide=True)
    busiest = max(rows, key=lambda row: row["events"])
    dates = [date.fromisoformat(str(row["date"])[:10]) for row in rows]
    series = [charts.Line(words(kind), [row.get(kind) for row in rows], EVENT_COLOURS[kind]) for kind in _types(rows)]
    return chart(
        title,
        f"The busiest day of {count(len(rows))} is {busiest['date']}, with {count(busiest['events'])} events. "
        "Each event type has its own scale.",
        charts.days(dates, series, "events per day"),
        _counts_table(rows, "date", "Day"),
        wide=True,
    )


def by_hour(rows: Rows, zone: str) -> Chart:
    """When in the day each type of event happens."""
    title = "When in the day things happen"
    if not rows:
        return chart(title)
    counted = {int(row["hour"]): row for row in rows}
    every = [{"hour": hour, **counted.get(hour, {"events": 0})} for hour in range(24)]
    peak = max(every, key=lambda row: row["events"])
    series = []
    for kind in _types(rows):
        total = sum(row.get(kind) or 0 for row in every)
        shares = [(row.get(kind) or 0) / total for row in every]
        series.append(charts.Line(words(kind), shares, EVENT_COLOURS[kind]))
    return chart(
        title,
        f"Share of each type's events by hour, so that rare types can be compared with views; the busiest "
        f"hour starts at {peak['hour']:02d}:00 ({zone}).",
        charts.lines(
            {hour: f"{hour:02d}" for hour in range(0, 24, 3)},
            series,
            f"hour of day (h, {zone})",
            "share of the type's events (%)",
            percent_tick,
        ),
        _counts_table(every, "hour", f"Hour ({zone})"),
    )


def prices(rows: Rows) -> Chart:
    """Mean price by event type."""
    title = "Mean price by event type"
    if not rows:
        return chart(title)
    rows = sorted(rows, key=lambda row: EVENT_TYPES.index(row["event_type"]))
    panel = charts.Panel(
        "mean price (shop currency)",
        [row["mean"] for row in rows],
        [f"{decimal(row['mean'])}  ({decimal(row['min'])} to {decimal(row['max'])})" for row in rows],
        colours=[EVENT_COLOURS.get(row["event_type"], GREY) for row in rows],
    )
    return chart(
        title,
        "Mean price of the products in the events as listed, with the lowest and the highest in brackets.",
        charts.bars([words(row["event_type"]) for row in rows], [panel], room=0.55),
        table_of(
            rows,
            {
                "event_type": ("Event type", words),
                "mean": ("Mean", decimal),
                "min": ("Lowest", decimal),
                "max": ("Highest", decimal),
                "events": ("Events with a price", count),
            },
        ),
    )


def leaders(rows: Rows, key: str, plural: str) -> Chart:
    """The categories or brands with the most events, and what they earn."""
    title = f"Top {plural}"
    if not rows:
        return chart(title, wide=True)
    named = [row for row in rows if row[key] != UNKNOWN]
    panels = [
        charts.Panel(
            axis,
            [row[field] for row in rows],
            [compact(row[field]) for row in rows],
            colours=[GREY if row[key] == UNKNOWN else colour for row in rows],
        )
        for field, axis, colour in (
            ("events", "events", BLUE),
            ("purchases", "purchases", GREEN),
            ("revenue", "revenue (shop currency)", ORANGE),
        )
    ]
    caption = "Those with the most events; grey where the log does not tell."
    if named:
        caption = (
            f"{label(named[0][key])} leads with {count(named[0]['events'])} events and "
            f"{count(named[0]['purchases'])} purchases; grey is what the log does not name."
        )
    columns: Columns = {
        key: (key.replace("_", " ").capitalize(), str),
        "events": ("Events", count),
        "purchases": ("Purchases", count),
        "revenue": ("Revenue (shop currency)", decimal),
    }
    return chart(
        title,
        caption,
        charts.bars([str(row[key]) for row in rows], panels),
        table_of(rows, columns),
        wide=True,
    )
