"""The exploration section: what the event log holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.events.vocabulary import EVENT_TYPES, UNKNOWN
from app.insight.results import DayRow, EventMixRow, Exploration, HourRow, LeaderRow, MissingRow, PriceRow
from app.report import charts, visits
from app.report.blocks import Block, Chart, Section, chart, table_of
from app.report.text import compact, count, decimal, label, percent, percent_tick, words
from app.report.theme import BLUE, EVENT_COLOURS, GREEN, GREY, ORANGE
from app.results.run import Cleaning

WHOLE_DAY = 22  #: hour from which on a last event may be the day's last one


def section(cleaning: Cleaning, found: Exploration | None, zone: str) -> Section:
    """Where every row went and, where the run looked, what the log holds.

    Parameters
    ----------
    zone
        Time zone of the hours of day.
    """
    if found is None:
        intro = "What the event log holds, before any model."
        return Section("exploration", "What is in the log?", intro, [rows_read(cleaning)])
    events = found.events
    intro = f"What the event log holds from {events.first} to {events.last}, before any model."
    kinds = [row.event_type for row in events.event_mix if row.events]
    if len(kinds) == 1:
        intro += f" All events are of the type {words(kinds[0])}."
    blocks: list[Block] = [
        rows_read(cleaning),
        *([event_mix(events.event_mix)] if len(kinds) != 1 else []),
        missing(events.missing, events.prices_not_positive),
        visits.sessions(found.sessions),
        by_day(events.by_day, events.last),
        by_hour(events.by_hour, zone),
        visits.session_lengths(found.sessions),
        prices(events.price_by_event_type),
        leaders(events.top_categories, "main category", "categories"),
        leaders(events.top_brands, "brand", "brands"),
    ]
    return Section("exploration", "What is in the log?", intro, blocks)


def rows_read(cleaning: Cleaning) -> Block:
    """Where every row read went."""
    rows = [
        ("read", cleaning.read),
        ("kept", cleaning.kept),
        ("dropped as exact duplicates", cleaning.duplicates),
        ("rejected", cleaning.rejected),
        *((f"rejected: {label(reason, 80)}", n) for reason, n in cleaning.reasons.items()),
        *((f"left out: {label(reason, 80)}", n) for reason, n in cleaning.left_out.items()),
    ]
    read = cleaning.read
    return table_of(
        rows,
        [
            ("Rows", lambda row: row[0]),
            ("Number", lambda row: count(row[1])),
            ("Share of rows read", lambda row: percent(row[1] / read if read else None)),
        ],
        title="Where every row read went",
        caption="Rows that cannot be events are kept apart with their reason; exact duplicates count once.",
    )


def event_mix(rows: Sequence[EventMixRow]) -> Chart:
    """Events by type."""
    title = "Events by type"
    rows = [row for row in rows if row.events]
    if not rows:
        return chart(title)
    most = max(rows, key=lambda row: row.events)
    total = sum(row.events for row in rows)
    texts = [f"{count(row.events)} ({percent(row.share)})" for row in rows]
    colours = [EVENT_COLOURS.get(row.event_type, GREY) for row in rows]
    panel = charts.Panel("events", [row.events for row in rows], texts, colours=colours)
    return chart(
        title,
        f"{percent(most.share)} of {count(total)} events are of the type {words(most.event_type)}.",
        charts.bars([words(row.event_type) for row in rows], [panel]),
        table_of(
            rows,
            [
                ("Event type", lambda row: words(row.event_type)),
                ("Events", lambda row: count(row.events)),
                ("Share", lambda row: percent(row.share)),
            ],
        ),
    )


def missing(rows: Sequence[MissingRow], prices_not_positive: int) -> Chart:
    """Missing values by column."""
    title = "Missing values by column"
    if not rows:
        return chart(title)
    ordered = sorted(rows, key=lambda row: (-row.missing, row.column))
    prices = f" {count(prices_not_positive)} prices are zero or below and count as missing later."
    prices *= prices_not_positive > 0
    if all(row.share in (0, 1) for row in rows):
        lacks, has = ([row.column for row in ordered if row.share == share] for share in (1, 0))
        told = [f"the log has no {_either(lacks)}"] if lacks else []
        told += [f"no row lacks {_either(has)}"] if has else []
        return chart(title, f"{', '.join(told)}.{prices}")
    texts = [f"{percent(row.share)} ({count(row.missing)})" for row in ordered]
    panel = charts.Panel("share of rows (%)", [row.share for row in ordered], texts, percent_tick)
    return chart(
        title,
        f"{sum(row.missing > 0 for row in rows)} of {len(rows)} columns have missing values.{prices}",
        charts.bars([row.column for row in ordered], [panel]),
        table_of(
            ordered,
            [
                ("Column", lambda row: row.column),
                ("Missing rows", lambda row: count(row.missing)),
                ("Share", lambda row: percent(row.share)),
            ],
        ),
    )


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _types(rows: Sequence[DayRow] | Sequence[HourRow]) -> list[str]:
    """Event types that occur at all, in the funnel's order."""
    return [kind for kind in EVENT_TYPES if any(row.by_type.get(kind) for row in rows)]


def by_day(rows: Sequence[DayRow], last: datetime) -> Chart:
    """Events by day and type; `last`: the moment of the last event."""
    title = "Events by day"
    if not rows:
        return chart(title, wide=True)
    if len(rows) == 1:
        return chart(title, f"all are of one day, {rows[0].day}.", wide=True)
    busiest = max(rows, key=lambda row: row.events)
    counted = {row.day: row for row in rows}
    span = (max(counted) - min(counted)).days + 1
    every = [
        counted.get(day, DayRow(day=day, events=0, by_type={}))
        for day in (min(counted) + timedelta(days=number) for number in range(span))
    ]
    kinds = _types(rows)
    series = [
        charts.Line(words(kind), [row.by_type.get(kind, 0) for row in every], EVENT_COLOURS[kind]) for kind in kinds
    ]
    caption = f"The busiest day of {count(span)} is {busiest.day}, with {count(busiest.events)} events"
    caption += f"; there are none on {count(span - len(rows))} of them." if span > len(rows) else "."
    if len(kinds) > 1:
        caption += " Each event type has its own scale."
    if last.hour < WHOLE_DAY:
        caption += f" The data end at {last:%H:%M} (UTC) of the last day."
    return chart(
        title,
        caption,
        charts.days([row.day for row in every], series, "events per day"),
        table_of(
            every,
            [
                ("Day", lambda row: str(row.day)),
                ("Events", lambda row: count(row.events)),
                *((words(kind).capitalize(), lambda row, kind=kind: count(row.by_type.get(kind, 0))) for kind in kinds),
            ],
        ),
        wide=True,
    )


def by_hour(rows: Sequence[HourRow], zone: str) -> Chart:
    """When in the day each type of event happens."""
    title = "When in the day things happen"
    if not rows:
        return chart(title)
    counted = {row.hour: row for row in rows}
    every = [counted.get(hour, HourRow(hour=hour, events=0, by_type={})) for hour in range(24)]
    peak = max(every, key=lambda row: row.events)
    kinds = _types(rows)
    series = []
    for kind in kinds:
        total = sum(row.by_type.get(kind, 0) for row in every)
        shares = [row.by_type.get(kind, 0) / total for row in every]
        series.append(charts.Line(words(kind), shares, EVENT_COLOURS[kind]))
    return chart(
        title,
        f"The busiest hour starts at {peak.hour:02d}:00 ({zone})."
        f"{' Shares are of the events of one type, so that rare types can be compared with views.' * (len(kinds) > 1)}",
        charts.lines(
            {hour: f"{hour:02d}" for hour in range(0, 24, 3)},
            series,
            f"hour of day (h, {zone})",
            "share of the type's events (%)" if len(kinds) > 1 else "share of events (%)",
            percent_tick,
        ),
        table_of(
            every,
            [
                (f"Hour ({zone})", lambda row: str(row.hour)),
                ("Events", lambda row: count(row.events)),
                *((words(kind).capitalize(), lambda row, kind=kind: count(row.by_type.get(kind, 0))) for kind in kinds),
            ],
        ),
    )


def prices(rows: Sequence[PriceRow]) -> Chart:
    """Mean price by event type."""
    title = "Mean price by event type"
    rows = [row for row in rows if row.mean is not None]
    if not rows:
        return chart(title)
    if len(rows) == 1:
        (only,) = rows
        known = f"of the type {words(only.event_type)} alone: {decimal(only.mean)} in the mean"
        return chart(title, f"prices are known {known}, from {decimal(only.min)} to {decimal(only.max)}.")
    rows = sorted(rows, key=lambda row: EVENT_TYPES.index(row.event_type))
    panel = charts.Panel(
        "mean price (shop currency)",
        [row.mean for row in rows],
        [f"{decimal(row.mean)}  ({decimal(row.min)} to {decimal(row.max)})" for row in rows],
        colours=[EVENT_COLOURS.get(row.event_type, GREY) for row in rows],
    )
    return chart(
        title,
        "Mean price of the products in the events as listed, with the lowest and the highest in brackets.",
        charts.bars([words(row.event_type) for row in rows], [panel], room=0.55),
        table_of(
            rows,
            [
                ("Event type", lambda row: words(row.event_type)),
                ("Mean", lambda row: decimal(row.mean)),
                ("Lowest", lambda row: decimal(row.min)),
                ("Highest", lambda row: decimal(row.max)),
                ("Events with a price", lambda row: count(row.events)),
            ],
        ),
    )


def leaders(rows: Sequence[LeaderRow], kind: str, plural: str) -> Chart:
    """The categories or brands with the most events, and what they earn."""
    title = f"Top {plural}"
    named = [row for row in rows if row.name != UNKNOWN]
    if not named:
        return chart(title, wide=True)
    figures: list[tuple[str, list[float], str]] = [("events", [row.events for row in rows], BLUE)]
    bought = any(row.purchases for row in rows)
    if bought:
        figures.append(("purchases", [row.purchases for row in rows], GREEN))
    if any(row.revenue for row in rows):
        figures.append(("revenue (shop currency)", [row.revenue for row in rows], ORANGE))
    panels = [
        charts.Panel(
            axis,
            values,
            [compact(value) for value in values],
            colours=[GREY if row.name == UNKNOWN else colour for row in rows],
            exact=[count(value) for value in values],
        )
        for axis, values, colour in figures
    ]
    grey = "; grey is what the log does not name" if len(named) < len(rows) else ""
    return chart(
        title,
        f"Most events are of {label(named[0].name)}: {count(named[0].events)}"
        f"{f', and {count(named[0].purchases)} purchases' * bought}{grey}.",
        charts.bars([row.name for row in rows], panels),
        table_of(
            rows,
            [
                (kind.capitalize(), lambda row: row.name),
                ("Events", lambda row: count(row.events)),
                *([("Purchases", lambda row: count(row.purchases))] if bought else []),
                *([("Revenue (shop currency)", lambda row: decimal(row.revenue))] if len(figures) > 2 else []),
            ],
        ),
        wide=len(panels) > 2,
    )
