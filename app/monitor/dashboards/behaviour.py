"""Behaviour: how far visits go and what is left in carts, from training to training."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import COUNT, FIGURE, SHARE, Panel, chart, new, number, version_variable
from app.monitor.dashboards.flux import by_training, latest, points
from app.monitor.training_schema import BEHAVIOUR


def dashboard() -> Dashboard:
    """Rates of the funnel's steps, and the ends of cart lines."""
    board = new(
        "Behaviour",
        "behaviour",
        "One point per training, by the time it started, over all of the log that it was trained on: rates can be "
        "compared from training to training, counts and values grow with the log.",
        since="now-90d",
        refresh="1m",
        variables=[version_variable(BEHAVIOUR)],
    )
    for panel in (*_latest(), *_charts()):
        board.with_panel(panel)
    return board


def _latest() -> tuple[Panel, ...]:
    shown = (
        ("Sessions that go all the way", "Of those with the first step, at the last training.", "all_the_way", SHARE),
        ("Cart lines left behind", "Of those decided, at the last training.", "carts_left_share", SHARE),
        ("Value left in carts (shop currency)", "In the log of the last training.", "cart_value_left", COUNT),
    )
    return tuple(
        number(title, description, latest(points(BEHAVIOUR, field)), unit=unit, width=8)
        for title, description, field, unit in shown
    )


def _charts() -> tuple[Panel, ...]:
    return (
        chart(
            "Step rates of the funnel",
            "Share of the sessions at the step before that go on; all the way is of those with the first step.",
            by_training(BEHAVIOUR, "to_cart", "to_purchase", "all_the_way"),
            unit=SHARE,
            name=FIGURE,
            points=True,
        ),
        chart(
            "Sessions that reach each step",
            "Steps count in their order.",
            by_training(BEHAVIOUR, "sessions_view", "sessions_cart", "sessions_purchase"),
            unit=COUNT,
            name=FIGURE,
            points=True,
        ),
        chart(
            "What becomes of cart lines",
            "A line is a product that a user has put into the cart; open ones may still be bought in time.",
            by_training(BEHAVIOUR, "carts_bought", "carts_removed", "carts_left", "carts_open"),
            unit=COUNT,
            name=FIGURE,
            stacked=StackingMode.NORMAL,
            points=True,
        ),
        chart(
            "Value left in carts over time (shop currency)",
            "Price × quantity of what was neither bought nor taken out in time.",
            by_training(BEHAVIOUR, "cart_value_left"),
            unit=COUNT,
            name=FIGURE,
            points=True,
        ),
    )
