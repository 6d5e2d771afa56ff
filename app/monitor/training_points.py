"""What a training leaves in InfluxDB: one point of its quality, one for each segment."""

from typing import Any

from app.evaluate.quality import ALL, BLEND, MOST_POPULAR
from app.evaluate.queries import SESSION
from app.insight.segments import FEATURES
from app.monitor.schema import MODEL, SEGMENTS


def training_lines(found: dict[str, Any], seconds: float, at: Any) -> list[str]:
    """Line protocol of a run.

    Parameters
    ----------
    found
        As `run.json` holds it.
    seconds
        How long it took.
    at
        datetime of its end.
    """
    quality = {row["model"]: row for row in found["quality"]["rows"] if (row["task"], row["slice"]) == (SESSION, ALL)}
    blend, popular = quality.get(BLEND), quality.get(MOST_POPULAR)
    fields: dict[str, Any] = {}
    if blend and popular:
        for metric in ("ndcg_10", "hr_10", "mrr_10", "recall_10"):
            fields |= {metric: blend[metric]["mean"], f"popular_{metric}": popular[metric]["mean"]}
        fields |= {
            "ndcg_10_low": blend["ndcg_10"]["low"],
            "ndcg_10_high": blend["ndcg_10"]["high"],
            "coverage_10": blend["coverage_10"],
        }
    version, totals = found["version"], found["exploration"]["totals"]
    model = MODEL.line(
        time=at,
        model_version=version,
        published=int(found["gate"]["published"]),
        silhouette=found["segments"]["silhouette"],
        users=totals["users"],
        products=totals["products"],
        interactions=found["pairs"],
        training_seconds=seconds,
        **fields,
    )
    return [model, *_segment_lines(found["segments"]["segments"], version, at)]


def _segment_lines(table: list[dict[str, Any]], version: str, at: Any) -> list[str]:
    """One point a name: clusters that share one are summed, their means weighted by users."""
    lines = []
    for name in sorted({row["segment"] for row in table}):
        rows = [row for row in table if row["segment"] == name]
        users = sum(row["users"] for row in rows)
        means = {feature: sum(row[feature] * row["users"] for row in rows) / users for feature in FEATURES}
        lines.append(SEGMENTS.line(time=at, segment=name, model_version=version, users=users, **means))
    return lines
