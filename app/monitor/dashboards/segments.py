"""Segments: who the customers are, and how each kind is served."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import (
    COUNT,
    DAYS,
    MOMENT,
    SEGMENT_LINE,
    SHARE,
    Panel,
    chart,
    grid,
    new,
    ranking,
    segment_variable,
    version_variable,
)
from app.monitor.dashboards.flux import as_table, by_training_and, points, ranked, total, total_ratio
from app.monitor.schema import LISTS, QUALITY, SERVED
from app.monitor.training_schema import MODEL, MOVES, SEGMENTS

_FEATURES = tuple(field.name for field in SEGMENTS.fields)
_SERVED = f'\n  |> filter(fn: (r) => r.generator == "{SERVED}")'


def dashboard() -> Dashboard:
    """Size and means per training, lists and hit rate per segment."""
    board = new(
        "Segments",
        "segments",
        "Customer segments by their ids, by the time of the training that cut them, and how each is served. "
        "The table at the end says what each is called.",
        since="now-30d",
        refresh="1m",
        variables=[segment_variable(SEGMENTS), version_variable(SEGMENTS)],
    )
    for panel in (*_charts(), *_movement(), *_rankings(), *_means()):
        board.with_panel(panel)
    return board


def _charts() -> tuple[Panel, ...]:
    return (
        chart(
            "Users per segment",
            "One point per training. A jump without a campaign means that the segmentation moved, not the customers.",
            by_training_and(points(SEGMENTS, "users"), "segment"),
            unit=COUNT,
            name=SEGMENT_LINE,
            stacked=StackingMode.NORMAL,
            points=True,
        ),
        chart(
            "Spent per user (shop currency)",
            "Mean money spent per user of a segment, one point per training.",
            by_training_and(points(SEGMENTS, "monetary"), "segment"),
            unit=COUNT,
            name=SEGMENT_LINE,
            points=True,
        ),
        chart(
            "Conversion rate",
            "Mean purchases per view of a segment's users, one point per training.",
            by_training_and(points(SEGMENTS, "conversion_rate"), "segment"),
            unit=SHARE,
            name=SEGMENT_LINE,
            points=True,
        ),
        chart(
            "Cart abandonment",
            "Mean share of carted products that were not bought, one point per training.",
            by_training_and(points(SEGMENTS, "cart_abandonment"), "segment"),
            unit=SHARE,
            name=SEGMENT_LINE,
            points=True,
        ),
    )


def _movement() -> tuple[Panel, ...]:
    return (
        chart(
            "Users who stay in their segment",
            "Of users whom the bundle in use knew, one point per training. Low where behaviour or borders change.",
            f'{points(MODEL, "stayed_share")}\n  |> group(columns: ["_field"])\n  |> sort(columns: ["_time"])',
            unit=SHARE,
            name="stay",
            points=True,
        ),
        chart(
            "Users who came from another segment",
            "By the segment that they are in now, one point per training.",
            by_training_and(
                f"{points(MOVES, 'users')}\n  |> filter(fn: (r) => r.was != r.segment)"
                '\n  |> group(columns: ["segment", "_time", "_field"])\n  |> sum()',
                "segment",
            ),
            unit=COUNT,
            name=SEGMENT_LINE,
            stacked=StackingMode.NORMAL,
            points=True,
        ),
        grid(
            "Movement between segments",
            "Where the users of each segment before are now, newest training first.",
            as_table(points(MOVES, "users", "share", "name", "was_name"), "was", "segment", "model_version"),
            units={"_time": MOMENT, "users": COUNT, "share": SHARE},
            names={
                "_time": "Trained",
                "was": "Was in",
                "was_name": "Its name",
                "segment": "Is in",
                "name": "Name",
                "model_version": "Model version",
                "users": "Users",
                "share": "Of those who were",
            },
        ),
    )


def _rankings() -> tuple[Panel, ...]:
    return (
        ranking(
            "HR@10 by segment",
            "Of the lists as served, over the time range: is a segment left behind?",
            ranked(
                total_ratio(points(QUALITY, "hits_10", "queries") + _SERVED, "hits_10", "queries", "segment"), "segment"
            ),
            unit=SHARE,
        ),
        ranking(
            "Lists by segment",
            "Lists written in the time range.",
            ranked(total(points(LISTS, "lists"), "segment"), "segment"),
            unit=COUNT,
        ),
    )


def _means() -> tuple[Panel, ...]:
    return (
        grid(
            "Names and means of segments",
            "What each segment is called, and what its users are like on average, newest training first.",
            as_table(points(SEGMENTS, *_FEATURES), "segment", "model_version"),
            units={
                "_time": MOMENT,
                "users": COUNT,
                "recency": DAYS,
                "frequency": DAYS,
                "conversion_rate": SHARE,
                "cart_abandonment": SHARE,
                "revenue_share": SHARE,
            },
            names={
                "_time": "Trained",
                "segment": "Segment",
                "name": "Name",
                "model_version": "Model version",
                "users": "Users",
                "revenue_share": "Of spending",
                "recency": "Since last event",
                "frequency": "Active",
                "monetary": "Spent",
                "conversion_rate": "Conversion",
                "cart_abandonment": "Abandonment",
                "unique_products": "Products seen",
                "unique_categories": "Categories seen",
                "avg_price": "Average price",
                "price_level": "Price level",
            },
        ),
    )
