"""Customers: who keeps the shop going, do they come back, how do they behave, what will they bring."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import (
    COUNT,
    DAYS,
    MOMENT,
    RATIO,
    SHARE,
    WIDTH,
    Panel,
    chart,
    grid,
    new,
    segment_variable,
    version_variable,
)
from app.monitor.dashboards.flux import as_table, by_training_and, points
from app.monitor.training_schema import LIFECYCLE, PROFILES, RFM, VALUE

_NAME = "${__field.labels.rfm}"
_PROFILE = "${__field.labels.profile}"
_STATE = "${__field.labels.state}"
_EXPECTED = (
    *("name", "customers", "p_alive", "purchases_30", "purchases_90", "purchases_90_low", "purchases_90_high"),
    *("expected_spend", "value_90", "value_90_low", "value_90_high"),
)


def dashboard() -> Dashboard:
    """RFM, lifecycle, profiles and value, from training to training."""
    board = new(
        "Customers",
        "customers",
        "One point per training, by the time it started. RFM, profiles and value are of all of the log that it was "
        "trained on, the lifecycle of the last whole week in it.",
        since="now-90d",
        refresh="1m",
        variables=[segment_variable(VALUE), version_variable(RFM)],
    )
    for panel in (*_rfm(), *_lifecycle(), _profiles(), _names(), _states(), _rules(), _expectations()):
        board.with_panel(panel)
    return board


def _rfm() -> tuple[Panel, ...]:
    return (
        chart(
            "Customers by RFM name",
            "Those who spent money, by when they last bought and how often, each in fifths of all customers. So a name "
            "grows against the others where habits change, not because the shop grows.",
            by_training_and(points(RFM, "customers"), "rfm"),
            unit=COUNT,
            name=_NAME,
            stacked=StackingMode.NORMAL,
            points=True,
        ),
        chart(
            "Share of spending by RFM name",
            "Of what all customers spent in the log: how much hangs on a few?",
            by_training_and(points(RFM, "revenue_share"), "rfm"),
            unit=SHARE,
            name=_NAME,
            stacked=StackingMode.NORMAL,
            points=True,
        ),
    )


def _lifecycle() -> tuple[Panel, ...]:
    shown = (
        ("visits", "Visitors of the last whole week", "Dormant ones were there in the week before, but not in this."),
        ("purchases", "Buyers of the last whole week", "Dormant ones bought in the week before, but not in this."),
    )
    return tuple(
        chart(
            title,
            f"New, returning after a week before, or resurrected after a longer absence. {description}",
            by_training_and(
                f'{points(LIFECYCLE, "users")}\n  |> filter(fn: (r) => r.activity == "{activity}")', "state"
            ),
            unit=COUNT,
            name=_STATE,
            points=True,
        )
        for activity, title, description in shown
    )


def _profiles() -> Panel:
    return chart(
        "Users by behavioural profile",
        "Share of all users, also of those who never buy. A profile that grows may follow from thresholds that move "
        "with the shop: the table of profiles has each training's.",
        by_training_and(points(PROFILES, "share"), "profile"),
        unit=SHARE,
        name=_PROFILE,
        width=WIDTH,
        stacked=StackingMode.NORMAL,
        points=True,
    )


def _names() -> Panel:
    return grid(
        "RFM names",
        "What each name's customers are like, newest training first.",
        as_table(points(RFM, *(field.name for field in RFM.fields)), "rfm", "model_version"),
        units={
            "_time": MOMENT,
            "customers": COUNT,
            "share": SHARE,
            "revenue": COUNT,
            "revenue_share": SHARE,
            "mean_recency_days": DAYS,
            "mean_purchases": RATIO,
        },
        names={
            "_time": "Trained",
            "rfm": "Name",
            "model_version": "Model version",
            "customers": "Customers",
            "share": "Of customers",
            "revenue": "Spent",
            "revenue_share": "Of spending",
            "mean_recency_days": "Since last purchase",
            "mean_purchases": "Purchases each",
        },
    )


def _states() -> Panel:
    return grid(
        "Lifecycle",
        "Users of each state in the last whole week of each training's log, newest training first.",
        as_table(points(LIFECYCLE, "users", "week"), "activity", "state", "model_version"),
        units={"_time": MOMENT, "users": COUNT},
        names={
            "_time": "Trained",
            "activity": "Of",
            "state": "State",
            "model_version": "Model version",
            "users": "Users",
            "week": "Week from Monday",
        },
    )


def _rules() -> Panel:
    return grid(
        "Behavioural profiles",
        "Who is in each profile: its rule with the thresholds of each training, newest first.",
        as_table(points(PROFILES, "users", "share", "rule"), "profile", "model_version"),
        units={"_time": MOMENT, "users": COUNT, "share": SHARE},
        names={
            "_time": "Trained",
            "profile": "Profile",
            "model_version": "Model version",
            "users": "Users",
            "share": "Of all users",
            "rule": "Who is in it",
        },
    )


def _expectations() -> Panel:
    return grid(
        "What segments are expected to do",
        "Newest training first, with 95 % intervals as far as the models' parameters are uncertain; what the log does "
        "not carry stays empty.",
        as_table(points(VALUE, *_EXPECTED), "segment", "model_version"),
        units={
            "_time": MOMENT,
            "customers": COUNT,
            "p_alive": SHARE,
            "purchases_30": COUNT,
            **dict.fromkeys(("purchases_90", "purchases_90_low", "purchases_90_high"), COUNT),
            "expected_spend": COUNT,
            **dict.fromkeys(("value_90", "value_90_low", "value_90_high"), COUNT),
        },
        names={
            "_time": "Trained",
            "segment": "Segment",
            "name": "Its name",
            "model_version": "Model version",
            "customers": "Have bought",
            "p_alive": "Still customers",
            "purchases_30": "Purchases in 30 days",
            "purchases_90": "Purchases in 90 days",
            "purchases_90_low": "Purchases, at least",
            "purchases_90_high": "Purchases, at most",
            "expected_spend": "Of a purchase",
            "value_90": "Value in 90 days",
            "value_90_low": "Value, at least",
            "value_90_high": "Value, at most",
        },
    )
