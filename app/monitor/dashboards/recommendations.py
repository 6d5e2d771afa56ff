"""Recommendations: what is shown to whom, and whether it is what they then look at."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import (
    COUNT,
    MOMENT,
    PER_SECOND,
    RATIO,
    SHARE,
    Panel,
    chart,
    grid,
    new,
    number,
    segment_variable,
    version_variable,
)
from app.monitor.dashboards.flux import as_table, per_second, per_window, points, rolling_ratio, total, total_ratio
from app.monitor.schema import BASELINE, LISTS, QUALITY, RECOMMENDATIONS, SERVED

_HITS = points(QUALITY, "hits_10", "queries")
_RANKS = points(QUALITY, "reciprocal_rank_sum", "queries")
_BOTH = f'\n  |> filter(fn: (r) => r.generator == "{SERVED}" or r.generator == "{BASELINE}")'
_SERVED = f'\n  |> filter(fn: (r) => r.generator == "{SERVED}")'
_LIFT = f"""
  |> group()
  |> reduce(
    identity: {{served: 0.0, baseline: 0.0}},
    fn: (r, accumulator) => ({{
      served: if r.generator == "{SERVED}" then r._value else accumulator.served,
      baseline: if r.generator == "{BASELINE}" then r._value else accumulator.baseline,
    }}),
  )
  |> filter(fn: (r) => r.baseline > 0.0)
  |> map(fn: (r) => ({{_value: r.served / r.baseline}}))"""
_GENERATOR = "${__field.labels.generator}"
_JUDGED = (
    "Judged before learning: was the event's product in the list that stood just before it? "
    f'"{SERVED}" is the list as served, "{BASELINE}" the baseline on the same events.'
)


def dashboard() -> Dashboard:
    """Hit rate and MRR beside popularity, by generator and segment; lists as they are written."""
    board = new(
        "Recommendations and their quality",
        "recommendations",
        "What is recommended and how good it is, by the time the lists were written. "
        "Quality is prequential: each event is judged against the list that stood before it.",
        since="now-1h",
        refresh="10s",
        variables=[segment_variable(LISTS), version_variable(LISTS)],
    )
    for panel in (*_figures(), *_charts(), _newest()):
        board.with_panel(panel)
    return board


def _figures() -> tuple[Panel, ...]:
    return (
        number(
            "HR@10",
            f"Share of judged events whose product was in the first ten. {_JUDGED}",
            total_ratio(_HITS + _BOTH, "hits_10", "queries", "generator"),
            unit=SHARE,
            width=7,
            name=_GENERATOR,
            decimals=1,
        ),
        number(
            "MRR@10",
            f"Mean of 1 / place of the event's product, 0 beyond the tenth. {_JUDGED}",
            total_ratio(_RANKS + _BOTH, "reciprocal_rank_sum", "queries", "generator"),
            unit=RATIO,
            width=7,
            name=_GENERATOR,
            decimals=3,
        ),
        number(
            "Lift over popularity",
            "HR@10 of the lists served over that of the popularity baseline. Below 1 the models do harm.",
            total_ratio(_HITS + _BOTH, "hits_10", "queries", "generator") + _LIFT,
            unit=RATIO,
            width=4,
            name="Lift",
            decimals=2,
            steps=((None, "red"), (1.0, "green")),
        ),
        number(
            "Events judged",
            "How many events the figures beside rest on; below some hundreds they are noise.",
            total(points(QUALITY, "queries") + _SERVED),
            unit=COUNT,
            width=3,
            name="Events",
            steps=((None, "orange"), (500, "green")),
        ),
        number(
            "Lists written",
            "Lists written in the time range.",
            total(points(LISTS, "lists")),
            unit=COUNT,
            width=3,
            name="Lists",
        ),
    )


def _charts() -> tuple[Panel, ...]:
    return (
        chart(
            "Rolling HR@10 by generator",
            f"Over the last ten points of the chart. {_JUDGED}",
            rolling_ratio(_HITS, "hits_10", "queries", "generator"),
            unit=SHARE,
            name=_GENERATOR,
            interval="10s",
        ),
        chart(
            "Rolling MRR@10 by generator",
            f"Over the last ten points of the chart. {_JUDGED}",
            rolling_ratio(_RANKS, "reciprocal_rank_sum", "queries", "generator"),
            unit=RATIO,
            name=_GENERATOR,
            interval="10s",
        ),
        chart(
            "Rolling HR@10 by segment",
            "Of the lists as served, over the last ten points of the chart: who is served badly? "
            "The dashboard of segments says what each is called.",
            rolling_ratio(_HITS + _SERVED, "hits_10", "queries", "segment"),
            unit=SHARE,
            name="segment ${__field.labels.segment}",
            interval="10s",
        ),
        chart(
            "Places filled by generator",
            "Share of all places; much popularity means that users or products are unknown to the bundle.",
            per_window(points(LISTS, "places"), "generator"),
            unit=COUNT,
            name=_GENERATOR,
            stacked=StackingMode.PERCENT,
            interval="10s",
        ),
        chart(
            "Lists per second by model version",
            "Which bundle serves: after a publication the new one takes over between two micro-batches.",
            per_second(per_window(points(LISTS, "lists"), "model_version")),
            unit=PER_SECOND,
            name="${__field.labels.model_version}",
            stacked=StackingMode.NORMAL,
            interval="10s",
            width=24,
        ),
    )


def _newest() -> Panel:
    fields = ("user_id", "product_id", "rank", "score", "price")
    keys = ("segment", "generator", "model_version")
    # The storage engine finds the last point of a series at once; the last hundred would read them all.
    return grid(
        "Newest recommendation of every kind",
        "The place written last for each segment, generator and model version, to look into.",
        as_table(points(RECOMMENDATIONS, *fields) + "\n  |> last()", *keys),
        units={"_time": MOMENT, "price": COUNT},
        names={
            "_time": "Written",
            "user_id": "User",
            "product_id": "Product",
            "rank": "Place",
            "score": "Score",
            "price": "Price",
            "segment": "Segment",
            "generator": "Generator",
            "model_version": "Model version",
        },
    )
