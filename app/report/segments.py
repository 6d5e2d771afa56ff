"""The sections on segments (K-Means clusters) and profiles (rules on sessions)."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.insight.results import Movement, ProfileRow, SegmentRow, Segments, TellingFeature, TriedNumber
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
    "price_level": "price level (1 is usual in the category)",
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
    """Sizes and means of the segments, the largest first; what decides, and how users moved."""
    rows = sorted(found.rows, key=lambda row: (-row.users, row.segment))
    intro = (
        "Groups of users with like behaviour, found by K-Means. Each is named by fixed thresholds on its means where "
        "these hold, else by what sets it apart from the average user."
    )
    if found.silhouette is not None:
        intro += f" Silhouette {decimal(found.silhouette, 3)} (-1 is worst, 1 best)."
    blocks = [segment_sizes(rows)]
    if any(row.revenue_share is not None for row in rows):
        blocks.append(segment_spending(rows))
    else:
        intro += " Nothing is known of spending."
    blocks += [segment_means(rows), what_decides(rows)]
    if found.movement is not None:
        blocks.append(movement(found.movement))
    if found.tried:
        blocks.append(numbers_tried(found.tried, len(rows)))
    return Section("segments", "Who are the customers?", intro, blocks)


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
                ("Of spending", lambda row: percent(row.revenue_share)),
            ],
        ),
    )


def segment_spending(rows: Sequence[SegmentRow]) -> Block:
    """What each segment spends in all."""
    spent = [row.users * row.means.monetary for row in rows]
    shares = [row.revenue_share or 0.0 for row in rows]
    texts = [f"{compact(money)} ({percent(share)})" for money, share in zip(spent, shares, strict=True)]
    exact = [f"{decimal(money)} ({percent(share)})" for money, share in zip(spent, shares, strict=True)]
    panel = charts.Panel("spent in all (shop currency)", spent, texts, colours=ORANGE, exact=exact)
    top = max(range(len(rows)), key=lambda place: spent[place])
    return chart(
        "Spending by segment",
        f"{words(rows[top].segment)}, {percent(rows[top].share)} of users, make up "
        f"{percent(shares[top])} of spending (mean spent times users).",
        charts.bars([words(row.segment) for row in rows], [panel]),
    )


def what_decides(rows: Sequence[SegmentRow]) -> Block:
    """Why a user is in a segment."""

    def reason(row: SegmentRow, place: int) -> str:
        return _reason(row.features[place]) if place < len(row.features) else ""

    return table_of(
        rows,
        [
            ("Segment", lambda row: words(row.segment)),
            ("In plain words", lambda row: ", ".join(row.traits) or "nothing sets it apart"),
            ("Matters most", lambda row: reason(row, 0)),
            ("Second", lambda row: reason(row, 1)),
            ("Third", lambda row: reason(row, 2)),
        ],
        left=(0, 1, 2, 3, 4),
        title="What decides who is in a segment",
        caption="Users are in the segment whose centre is nearest. Of each centre: the three features that make up "
        "most of its squared distance from the average user, how many standard deviations it lies above or below, and "
        "their share of the distance.",
        wide=True,
    )


def _reason(telling: TellingFeature) -> str:
    apart = decimal(abs(telling.apart), 1)
    side = "average" if float(apart) == 0 else f"{apart} {'above' if telling.apart > 0 else 'below'}"
    return f"{words(telling.feature)}: {side} ({percent(telling.share)})"


def movement(found: Movement) -> Block:
    """Where the users of each earlier segment are now."""
    share = f" ({percent(found.stayed / found.users)})" if found.users else ""
    return table_of(
        sorted(found.moves, key=lambda move: (-move.users, move.was_id, move.segment_id)),
        [
            ("Was in", lambda move: words(move.was)),
            ("Is in", lambda move: words(move.segment)),
            ("Users", lambda move: count(move.users)),
            ("Of those who were", lambda move: percent(move.share)),
        ],
        left=(0, 1),
        title="Movement between segments",
        caption=f"Since the bundle in use, {found.since}, was trained: {count(found.stayed)}{share} of "
        f"{count(found.users)} users known to both trainings are in the same segment; {count(found.newcomers)} users "
        "are new. A user moves by behaving otherwise, and where the border of a segment moves.",
    )


def numbers_tried(tried: Sequence[TriedNumber], chosen: int) -> Block:
    """Why there are so many segments."""
    return table_of(
        tried,
        [
            ("Segments", lambda row: f"{row.segments}{' (taken)' if row.segments == chosen else ''}"),
            ("Silhouette", lambda row: decimal(row.silhouette, 3)),
            ("Stability", lambda row: decimal(row.stability, 3)),
        ],
        title="How many segments",
        caption="Taken is what is best set apart (silhouette) among the numbers whose segments are found again in "
        "bootstrap samples of the users (stability, the adjusted Rand index, of 0.8 or more); the number of the "
        "training before stays where its silhouette is less than 0.02 lower. Where no number is found again, the "
        "most stable is taken.",
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
        for feature in _differing(rows)
    ]
    return chart(
        title,
        "Mean of each feature over the segment's users; every panel has its own scale from 0.",
        charts.bars([words(row.segment) for row in rows], panels, columns=4, room=0.45),
        table_of(
            rows,
            [
                ("Segment", lambda row: words(row.segment)),
                *((feature.axis.capitalize(), feature.text) for feature in _differing(rows)),
            ],
        ),
        wide=True,
    )


def are_priced(found: Segments) -> bool:
    """Whether the log, or a catalogue, has prices."""
    return any(row.means.avg_price or row.means.price_level != 1 for row in found.rows)


def _differing(rows: Sequence[SegmentRow]) -> list[Feature]:
    """Features that are not the same everywhere, as prices are in a log that has none."""
    return [feature for feature in FEATURES if len(rows) < 2 or len({feature.value(row) for row in rows}) > 1]


def profiles(rows: Sequence[ProfileRow], priced: bool = True) -> Section:
    """Sizes and rules of the profiles; `priced`: whether the log has prices."""
    intro = (
        "Types of behaviour, by rules on what users did; a user has the first that holds. Thresholds that are not set "
        "come from the shop's own users."
    )
    if not priced:
        intro += " The log has no prices, so a taste for cheap products can't be told."
    title = "Users by profile"
    if not rows:
        return Section("profiles", "How do visitors behave?", intro, [chart(title)])
    there = [row for row in rows if row.users]
    texts = [f"{count(row.users)} ({percent(row.share)})" for row in there]
    panel = charts.Panel("users", [row.users for row in there], texts, colours=GREEN)
    most = max(rows, key=lambda row: row.users)
    picture = chart(
        title,
        f"The most common profile is {words(most.profile)}, with {percent(most.share)} of users.",
        charts.bars([words(row.profile) for row in there], [panel]),
    )
    nobody = [words(row.profile) for row in rows if not row.users]
    rules = table_of(
        there,
        [
            ("Profile", lambda row: words(row.profile)),
            ("Users", lambda row: count(row.users)),
            ("Share", lambda row: percent(row.share)),
            ("Rule", lambda row: row.rule),
        ],
        left=(0, 3),
        title="Profiles and their rules",
        caption=f"Nobody meets the rule of {', '.join(nobody)}." if nobody else "",
    )
    return Section("profiles", "How do visitors behave?", intro, [picture, rules])
