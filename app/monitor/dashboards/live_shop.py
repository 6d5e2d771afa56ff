"""Live shop: what visitors do, in the shop's own time."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from app.monitor.dashboards.common import COUNT, MOMENT, SHARE, Panel, chart, new, number, ranking
from app.monitor.dashboards.flux import latest, per_window, points, ranked, total
from app.monitor.schema import EVENTS, STREAM_PROGRESS

_COUNTS = points(EVENTS, "events")
_SALES = points(EVENTS, "revenue") + '\n  |> filter(fn: (r) => r.event_type == "purchase")'
_CONVERSION = """
  |> reduce(
    identity: {views: 0, purchases: 0},
    fn: (r, accumulator) => ({
      views: accumulator.views + (if r.event_type == "view" then r._value else 0),
      purchases: accumulator.purchases + (if r.event_type == "purchase" then r._value else 0),
    }),
  )
  |> filter(fn: (r) => r.views > 0)
  |> map(fn: (r) => ({r with _value: float(v: r.purchases) / float(v: r.views)}))"""


def dashboard() -> Dashboard:
    """Event mix, revenue, conversion, categories."""
    board = new(
        "Live shop",
        "live-shop",
        "What visitors do, by the events' own time in windows of 5 minutes. When old events are "
        "replayed the windows lie in the past: click the shop clock to go there.",
        since="now-6h",
        refresh="10s",
    )
    for panel in (*_figures(), *_charts()):
        board.with_panel(panel)
    return board


def _figures() -> tuple[Panel, ...]:
    return (
        number(
            "Events",
            "Distinct events of each type in the time range.",
            total(_COUNTS, "event_type"),
            unit=COUNT,
            width=9,
            name="${__field.labels.event_type}",
        ),
        number(
            "Revenue (shop currency)",
            "Price × quantity, summed over all purchases in the time range.",
            total(_SALES),
            unit=COUNT,
            width=5,
            name="Revenue",
        ),
        number(
            "Purchases per view",
            "Purchase events over view events in the time range.",
            f'{total(_COUNTS, "event_type")}\n  |> group(){_CONVERSION}\n  |> keep(columns: ["_value"])',
            unit=SHARE,
            width=4,
            name="Conversion",
            decimals=2,
        ),
        number(
            "Shop clock",
            "Time of the latest event read within the last seven days, whatever the time range. "
            "Click it to see the six hours around it.",
            f'{latest(points(STREAM_PROGRESS, "event_time_last", span="start: -7d"))}\n  |> keep(columns: ["_value"])',
            unit=MOMENT,
            width=6,
            name="Shop clock",
            link=("Six hours around the shop clock", "/d/vitrine-live-shop?time=${__value.raw}&time.window=21600000"),
        ),
    )


def _charts() -> tuple[Panel, ...]:
    return (
        chart(
            "Events by type",
            "Distinct events per window. A gap is a stream that stood still, or a closed shop.",
            per_window(_COUNTS, "event_type"),
            unit=COUNT,
            name="${__field.labels.event_type}",
            interval="5m",
        ),
        chart(
            "Revenue by main category (shop currency)",
            "Revenue per window, stacked.",
            per_window(_SALES, "main_category"),
            unit=COUNT,
            name="${__field.labels.main_category}",
            stacked=StackingMode.NORMAL,
            bars=True,
            interval="5m",
        ),
        ranking(
            "Top main categories",
            "The ten main categories with the most events in the time range.",
            ranked(total(_COUNTS, "main_category"), "main_category"),
            unit=COUNT,
        ),
        chart(
            "Purchases per view over time",
            "Purchase events over view events per window: a sudden fall is a broken checkout.",
            f'{per_window(_COUNTS, "event_type")}\n  |> group(columns: ["_time"]){_CONVERSION}'
            '\n  |> group()\n  |> keep(columns: ["_time", "_value"])\n  |> sort(columns: ["_time"])',
            unit=SHARE,
            name="Conversion",
            interval="5m",
        ),
    )
