"""Models: is each training better than the last, and than most popular?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from app.monitor.dashboards.common import (
    COUNT,
    FIGURE,
    MOMENT,
    RATIO,
    SECONDS,
    SHARE,
    TEXT,
    Panel,
    chart,
    grid,
    new,
    number,
    version_variable,
)
from app.monitor.dashboards.flux import as_table, by_training, figures, latest, points, total
from app.monitor.training_schema import MODEL


def dashboard() -> Dashboard:
    """Metrics against the baseline, sizes and durations, one point per training."""
    board = new(
        "Models",
        "models",
        "One point per training, by the time it started; metrics are on its test slice over the whole catalogue.",
        since="now-90d",
        refresh="1m",
        variables=[version_variable(MODEL)],
    )
    for panel in (*_figures(), *_charts(), _trainings()):
        board.with_panel(panel)
    return board


def _figures() -> tuple[Panel, ...]:
    published = points(MODEL, "published")
    return (
        number(
            "Champion",
            "The version published last in the time range.",
            f"{published}\n  |> filter(fn: (r) => r._value == 1)\n  |> group()"
            '\n  |> sort(columns: ["_time"])\n  |> last()\n  |> map(fn: (r) => ({_value: r.model_version}))',
            unit=TEXT,
            width=8,
        ),
        number(
            "NDCG@10 of the last training",
            "The blend beside most popular, on the same test slice.",
            figures(latest(points(MODEL, "ndcg_10", "popular_ndcg_10"))),
            unit=RATIO,
            width=8,
            name=FIGURE,
            decimals=4,
        ),
        number(
            "Trainings",
            "Trainings in the time range.",
            f"{published}\n  |> group()\n  |> count()",
            unit=COUNT,
            width=4,
            name="Trainings",
        ),
        number(
            "Published",
            "Trainings that became the champion; the others were worse and stay beside it.",
            total(published),
            unit=COUNT,
            width=4,
            name="Published",
        ),
    )


def _charts() -> tuple[Panel, ...]:
    return (
        chart(
            "NDCG@10",
            "The blend with its bootstrap interval, and most popular.",
            by_training(MODEL, "ndcg_10", "ndcg_10_low", "ndcg_10_high", "popular_ndcg_10"),
            unit=RATIO,
            name=FIGURE,
            points=True,
        ),
        chart(
            "Hit rate and recall at 10",
            "The blend beside most popular.",
            by_training(MODEL, "hr_10", "recall_10", "popular_hr_10", "popular_recall_10"),
            unit=SHARE,
            name=FIGURE,
            points=True,
        ),
        chart(
            "Catalogue coverage and silhouette",
            "Share of the catalogue that appears in some list of ten; how well the segments are separated.",
            by_training(MODEL, "coverage_10", "silhouette"),
            unit=RATIO,
            name=FIGURE,
            points=True,
        ),
        chart(
            "Trained on",
            "Users, products and user-product pairs: a fall means that data is missing.",
            by_training(MODEL, "users", "products", "interactions"),
            unit=COUNT,
            name=FIGURE,
            points=True,
        ),
        chart(
            "Training time",
            "The whole run; must stay well below the time between two trainings.",
            by_training(MODEL, "training_seconds"),
            unit=SECONDS,
            name=FIGURE,
            points=True,
            width=24,
        ),
    )


def _trainings() -> Panel:
    fields = ("published", "ndcg_10", "popular_ndcg_10", "hr_10", "mrr_10", "coverage_10", "users", "training_seconds")
    return grid(
        "Every training",
        "Newest first.",
        as_table(points(MODEL, *fields), "model_version"),
        units={
            "_time": MOMENT,
            "hr_10": SHARE,
            "coverage_10": SHARE,
            "users": COUNT,
            "training_seconds": SECONDS,
        },
        names={
            "_time": "Trained",
            "model_version": "Model version",
            "published": "Published",
            "ndcg_10": "NDCG@10",
            "popular_ndcg_10": "NDCG@10 most popular",
            "hr_10": "HR@10",
            "mrr_10": "MRR@10",
            "coverage_10": "Coverage",
            "users": "Users",
            "training_seconds": "Training time",
        },
    )
