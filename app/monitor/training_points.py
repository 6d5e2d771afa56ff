"""What a training leaves in InfluxDB: one point of its quality, one for each segment."""

from app.evaluate.names import BLEND, HR_10, MOST_POPULAR, MRR_10, NDCG_10, RECALL_10, SESSION
from app.evaluate.results import Quality, find_row
from app.monitor.schema import MODEL, SEGMENTS
from app.results.run import RunResult


def training_lines(result: RunResult) -> list[str]:
    """Line protocol of a training.

    Parameters
    ----------
    result
        Of `vitrine train`; written again, it gives the same lines.

    Raises
    ------
    ValueError
        The run trained nothing: it was one of `vitrine explore` or `vitrine segments`.
    """
    exploration, segments, quality, gate = result.exploration, result.segments, result.quality, result.gate
    if exploration is None or segments is None or quality is None or gate is None:
        raise ValueError(f"run {result.version} trained nothing, so it has no points")
    at = result.created
    model = MODEL.line(
        time=at,
        model_version=result.version,
        published=int(gate.published),
        silhouette=segments.silhouette,
        users=exploration.events.users,
        products=exploration.events.products,
        interactions=result.pairs,
        training_seconds=sum(stage.seconds for stage in result.stages),
        **_quality_fields(quality),
    )
    return [
        model,
        *(
            SEGMENTS.line(
                time=at,
                segment=str(row.segment_id),
                model_version=result.version,
                name=row.segment,
                users=row.users,
                revenue_share=row.revenue_share,
                **row.means.model_dump(),
            )
            for row in segments.rows
        ),
    ]


def _quality_fields(quality: Quality) -> dict[str, float | None]:
    """Fields of `MODEL` from the task of sessions; none where there were no test queries."""
    session = [row for row in quality.rows if row.task == SESSION]
    blend, popular = find_row(session, BLEND), find_row(session, MOST_POPULAR)
    if blend is None or popular is None:
        return {}
    fields: dict[str, float | None] = {}
    for metric in (NDCG_10, HR_10, MRR_10, RECALL_10):
        fields |= {metric: blend.metrics[metric].mean, f"popular_{metric}": popular.metrics[metric].mean}
    interval = blend.metrics[NDCG_10]
    return fields | {
        f"{NDCG_10}_low": interval.low,
        f"{NDCG_10}_high": interval.high,
        "coverage_10": blend.coverage_10,
    }
