"""The sections on segments (K-Means clusters) and profiles (rules on sessions)."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.report import charts
from app.report.blocks import Block, Columns, Section, chart, table_of
from app.report.text import Format, compact, count, decimal, percent, percent_tick, words
from app.report.theme import GREEN, ORANGE

#: Feature → (axis with unit, format of the numbers, format of the axis).
FEATURES: dict[str, tuple[str, Format, Format]] = {
    "recency": ("recency (days since last seen)", decimal, compact),
    "frequency": ("frequency (active days)", decimal, compact),
    "monetary": ("spent (shop currency)", decimal, compact),
    "avg_price": ("average price (shop currency)", decimal, compact),
    "conversion_rate": ("conversion rate (%)", percent, percent_tick),
    "cart_abandonment": ("cart abandonment (%)", percent, percent_tick),
    "unique_products": ("distinct products", decimal, compact),
    "unique_categories": ("distinct categories", decimal, compact),
}


def segments(data: Mapping[str, Any]) -> Section:
    """Sizes and means of `run["segments"]`."""
    rows = sorted(data.get("segments") or [], key=lambda row: (-row["users"], row["segment"]))
    fit = data.get("silhouette")
    intro = "Groups of users with like behaviour, found by K-Means and named by their means."
    if fit is not None:
        intro += f" Silhouette {decimal(fit, 3)} (-1 is worst, 1 best)."
    blocks = [segment_sizes(rows), segment_spending(rows), segment_means(rows)]
    return Section("segments", "Customer segments", intro, blocks)


def segment_sizes(rows: Sequence[Mapping[str, Any]]) -> Block:
    """Users in each segment."""
    title = "Users by segment"
    if not rows:
        return chart(title)
    texts = [f"{count(row['users'])} ({percent(row['share'])})" for row in rows]
    panel = charts.Panel("users", [row["users"] for row in rows], texts)
    return chart(
        title,
        f"The largest segment is {words(rows[0]['segment'])}, with {percent(rows[0]['share'])} of users.",
        charts.bars([words(row["segment"]) for row in rows], [panel]),
        table_of(
            rows,
            {
                "segment": ("Segment", words),
                "segment_id": ("Id", str),
                "users": ("Users", count),
                "share": ("Share", percent),
            },
        ),
    )


def segment_spending(rows: Sequence[Mapping[str, Any]]) -> Block:
    """What each segment spends in all."""
    title = "Spending by segment"
    spent = [row["users"] * (row.get("monetary") or 0.0) for row in rows]
    total = sum(spent)
    if not total:
        return chart(title)
    texts = [f"{compact(money)} ({percent(money / total)})" for money in spent]
    panel = charts.Panel("spent in all (shop currency)", spent, texts, colours=ORANGE)
    top = max(range(len(rows)), key=lambda place: spent[place])
    return chart(
        title,
        f"{words(rows[top]['segment'])}, {percent(rows[top]['share'])} of users, make up "
        f"{percent(spent[top] / total)} of spending (mean spent times users).",
        charts.bars([words(row["segment"]) for row in rows], [panel]),
    )


def segment_means(rows: Sequence[Mapping[str, Any]]) -> Block:
    """What sets the segments apart."""
    title = "What sets the segments apart"
    if not rows:
        return chart(title, wide=True)
    panels = [
        charts.Panel(axis, [row.get(name) for row in rows], [form(row.get(name)) for row in rows], tick)
        for name, (axis, form, tick) in FEATURES.items()
    ]
    columns: Columns = {name: (axis.capitalize(), form) for name, (axis, form, _) in FEATURES.items()}
    return chart(
        title,
        "Mean of each feature over the segment's users; every panel has its own scale from 0.",
        charts.bars([words(row["segment"]) for row in rows], panels, columns=4, room=0.45),
        table_of(rows, {"segment": ("Segment", words), **columns}),
        wide=True,
    )


def profiles(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Sizes and rules of `run["profiles"]`."""
    intro = "Behaviour types told by fixed rules on what users did."
    title = "Users by profile"
    if not rows:
        return Section("profiles", "Behaviour profiles", intro, [chart(title)])
    texts = [f"{count(row['users'])} ({percent(row['share'])})" for row in rows]
    panel = charts.Panel("users", [row["users"] for row in rows], texts, colours=GREEN)
    most = max(rows, key=lambda row: row["users"])
    picture = chart(
        title,
        f"The most common profile is {words(most['profile'])}, with {percent(most['share'])} of users.",
        charts.bars([words(row["profile"]) for row in rows], [panel]),
    )
    rules = table_of(
        rows,
        {
            "profile": ("Profile", words),
            "users": ("Users", count),
            "share": ("Share", percent),
            "rule": ("Rule", str),
        },
        left=(0, 3),
        title="Profiles and their rules",
    )
    return Section("profiles", "Behaviour profiles", intro, [picture, rules])
