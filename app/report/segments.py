"""The sections on segments (K-Means clusters) and profiles (rules on sessions)."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.insight.results import ProfileRow, SegmentRow, Segments
from app.report import charts
from app.report.blocks import Block, Section, chart, table_of
from app.report.text import Format, compact, count, decimal, percent, percent_tick, words
from app.report.theme import GREEN, ORANGE
from app.serve.segments import SHARE, UNITS

#: Titles of axes, by the feature drawn along them.
AXES = {
    "recency": "recency (days since last seen)",
    "frequency": "frequency (active days)",
    "monetary": "spent (shop currency)",
    "conversion_rate": "conversion rate (%)",
    "cart_abandonment": "cart abandonment (%)",
    "unique_products": "distinct products",
    "unique_categories": "distinct categories",
    "avg_price": "average price (shop currency)",
}


@dataclass(frozen=True)
class Feature:
    """How a mean of `Means` is drawn: a share in per cent, anything else as a number."""

    name: str

    @property
    def axis(self) -> str:
        return AXES[self.name]

    @property
    def tick(self) -> Format:
        return percent_tick if UNITS[self.name] == SHARE else compact

    def value(self, row: SegmentRow) -> float:
        return float(getattr(row.means, self.name))

    def text(self, row: SegmentRow) -> str:
        form = percent if UNITS[self.name] == SHARE else decimal
        return form(self.value(row))


FEATURES = tuple(Feature(name) for name in UNITS)


def segments(found: Segments) -> Section:
    """Sizes and means of the segments, the largest first."""
    rows = sorted(found.rows, key=lambda row: (-row.users, row.segment))
    intro = "Groups of users with like behaviour, found by K-Means and named by their means."
    if found.silhouette is not None:
        intro += f" Silhouette {decimal(found.silhouette, 3)} (-1 is worst, 1 best)."
    blocks = [segment_sizes(rows), segment_spending(rows), segment_means(rows)]
    return Section("segments", "Customer segments", intro, blocks)


def segment_sizes(rows: Sequence[SegmentRow]) -> Block:
    """Users in each segment."""
    title = "Users by segment"
    if not rows:
        return chart(title)
    texts = [f"{count(row.users)} ({percent(row.share)})" for row in rows]
    panel = charts.Panel("users", [row.users for row in rows], texts)
    return chart(
        title,
        f"The largest segment is {words(rows[0].segment)}, with {percent(rows[0].share)} of users.",
        charts.bars([words(row.segment) for row in rows], [panel]),
        table_of(
            rows,
            [
                ("Segment", lambda row: words(row.segment)),
                ("Id", lambda row: str(row.segment_id)),
                ("Users", lambda row: count(row.users)),
                ("Share", lambda row: percent(row.share)),
            ],
        ),
    )


def segment_spending(rows: Sequence[SegmentRow]) -> Block:
    """What each segment spends in all."""
    title = "Spending by segment"
    spent = [row.users * row.means.monetary for row in rows]
    total = sum(spent)
    if not total:
        return chart(title)
    texts = [f"{compact(money)} ({percent(money / total)})" for money in spent]
    panel = charts.Panel("spent in all (shop currency)", spent, texts, colours=ORANGE)
    top = max(range(len(rows)), key=lambda place: spent[place])
    return chart(
        title,
        f"{words(rows[top].segment)}, {percent(rows[top].share)} of users, make up "
        f"{percent(spent[top] / total)} of spending (mean spent times users).",
        charts.bars([words(row.segment) for row in rows], [panel]),
    )


def segment_means(rows: Sequence[SegmentRow]) -> Block:
    """What sets the segments apart."""
    title = "What sets the segments apart"
    if not rows:
        return chart(title, wide=True)
    panels = [
        charts.Panel(
            feature.axis, [feature.value(row) for row in rows], [feature.text(row) for row in rows], feature.tick
        )
        for feature in FEATURES
    ]
    return chart(
        title,
        "Mean of each feature over the segment's users; every panel has its own scale from 0.",
        charts.bars([words(row.segment) for row in rows], panels, columns=4, room=0.45),
        table_of(
            rows,
            [
                ("Segment", lambda row: words(row.segment)),
                *((feature.axis.capitalize(), feature.text) for feature in FEATURES),
            ],
        ),
        wide=True,
    )


def profiles(rows: Sequence[ProfileRow]) -> Section:
    """Sizes and rules of the profiles."""
    intro = "Types of behaviour, by fixed rules on what users did."
    title = "Users by profile"
    if not rows:
        return Section("profiles", "Behaviour profiles", intro, [chart(title)])
    texts = [f"{count(row.users)} ({percent(row.share)})" for row in rows]
    panel = charts.Panel("users", [row.users for row in rows], texts, colours=GREEN)
    most = max(rows, key=lambda row: row.users)
    picture = chart(
        title,
        f"The most common profile is {words(most.profile)}, with {percent(most.share)} of users.",
        charts.bars([words(row.profile) for row in rows], [panel]),
    )
    rules = table_of(
        rows,
        [
            ("Profile", lambda row: words(row.profile)),
            ("Users", lambda row: count(row.users)),
            ("Share", lambda row: percent(row.share)),
            ("Rule", lambda row: row.rule),
        ],
        left=(0, 3),
        title="Profiles and their rules",
    )
    return Section("profiles", "Behaviour profiles", intro, [picture, rules])
