"""What a training leaves in InfluxDB: points of its quality, of behaviour, segments and customers."""

from itertools import pairwise

from app.evaluate.names import BLEND, HR_10, MOST_POPULAR, MRR_10, NDCG_10, RECALL_10, SESSION
from app.evaluate.results import Quality, find_row
from app.insight.behaviour_results import Behaviour, Carts, Funnel
from app.insight.customer_results import Customers, Forecast, Lifecycle, LifecycleRow, RfmRow, Value, ValueRow
from app.insight.results import Movement, ProfileRow
from app.insight.rfm import ORDER
from app.monitor.training_schema import BEHAVIOUR, LIFECYCLE, MODEL, MOVES, PROFILES, RFM, SEGMENTS, VALUE
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
    at, movement = result.created, segments.movement
    model = MODEL.line(
        time=at,
        model_version=result.version,
        published=int(gate.published),
        silhouette=segments.silhouette,
        stayed_share=movement.stayed / movement.users if movement and movement.users else None,
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
        *(_moves(result, movement) if movement else ()),
        *(_behaviour(result, result.behaviour) if result.behaviour else ()),
        *(_profiles(result, result.profiles) if result.profiles else ()),
        *(_customers(result, result.customers) if result.customers else ()),
    ]


def _moves(result: RunResult, movement: Movement) -> list[str]:
    return [
        MOVES.line(
            time=result.created,
            model_version=result.version,
            segment=str(move.segment_id),
            was=str(move.was_id),
            users=move.users,
            share=move.share,
            name=move.segment,
            was_name=move.was,
        )
        for move in movement.moves
    ]


def _behaviour(result: RunResult, found: Behaviour) -> list[str]:
    """One point; none of a log that tells neither of a funnel nor of carts."""
    fields = _funnel_fields(found.funnel) | _cart_fields(found.carts)
    return [BEHAVIOUR.line(time=result.created, model_version=result.version, **fields)] if fields else []


def _profiles(result: RunResult, rows: tuple[ProfileRow, ...]) -> list[str]:
    return [PROFILES.line(time=result.created, model_version=result.version, **row.model_dump()) for row in rows]


def _customers(result: RunResult, found: Customers) -> list[str]:
    return [
        *(_rfm(result, found.rfm) if found.rfm else ()),
        *(line for lifecycle in found.lifecycle for line in _lifecycle(result, lifecycle)),
        *(_value(result, found.value) if found.value else ()),
    ]


def _rfm(result: RunResult, rows: tuple[RfmRow, ...]) -> list[str]:
    """A point for each name, also for those that nobody has: a line of a chart would go on from the training before."""
    known = {row.name: row.model_dump(exclude={"name"}) for row in rows}
    nobody = {"customers": 0, "share": 0.0, "revenue": 0.0, "revenue_share": 0.0}
    return [
        RFM.line(time=result.created, model_version=result.version, rfm=name, **known.get(name, nobody))
        for name in ORDER
    ]


def _lifecycle(result: RunResult, found: Lifecycle) -> list[str]:
    """Of the last whole week; in the log's first one all are new, which says nothing of them."""
    whole = found.weeks[1:] if found.last_is_whole else found.weeks[1:-1]
    if not whole:
        return []
    last: LifecycleRow = whole[-1]
    states = last.model_dump(exclude={"week"})
    return [
        LIFECYCLE.line(
            time=result.created,
            model_version=result.version,
            activity=found.kind,
            state=state,
            users=users,
            week=last.week.isoformat(),
        )
        for state, users in states.items()
    ]


def _value(result: RunResult, found: Value) -> list[str]:
    assert result.segments is not None
    ids = {row.segment: row.segment_id for row in result.segments.rows}
    return [
        VALUE.line(
            time=result.created,
            model_version=result.version,
            segment=str(ids[row.name]),
            name=row.name,
            customers=row.customers,
            expected_spend=row.expected_spend,
            **_bounded(row),
        )
        for row in found.by_segment
    ]


def _bounded(row: ValueRow) -> dict[str, float | None]:
    """Forecasts with the ends of their intervals; none of what is not identified."""
    forecasts = {name: found for name, found in row if isinstance(found, Forecast)}
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": getattr(found, at) for name, found in forecasts.items() for end, at in ends.items()}


def _funnel_fields(funnel: Funnel | None) -> dict[str, float | None]:
    if funnel is None:
        return {}
    reached = dict(zip(funnel.steps, funnel.total.sessions, strict=True))
    fields: dict[str, float | None] = {f"sessions_{step}": sessions for step, sessions in reached.items()}
    for (_, before), (step, sessions) in pairwise(reached.items()):
        fields[f"to_{step}"] = sessions / before if before else None
    first, *_, last = funnel.total.sessions
    return fields | {"all_the_way": last / first if first else None}


def _cart_fields(carts: Carts | None) -> dict[str, float | None]:
    if carts is None:
        return {}
    ends = {row.outcome: row for row in carts.outcomes}
    decided = sum(row.lines for name, row in ends.items() if name != "open")
    return {f"carts_{name}": row.lines for name, row in ends.items()} | {
        "carts_left_share": ends["left"].lines / decided if decided else None,
        "cart_value_left": ends["left"].value,
    }


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
