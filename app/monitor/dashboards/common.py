"""What the dashboards share: datasource, variables, panels with everything filled in."""

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from app.monitor.dashboards.flux import tag_values
from app.monitor.lines import Measurement

DATASOURCE = model.DataSourceRef(type_val="influxdb", uid="vitrine-influxdb")
TAG = "vitrine"
WIDTH = 24  # columns of Grafana's grid

# Units, by Grafana's names
COUNT, SECONDS, BYTES, SHARE = "short", "s", "bytes", "percentunit"
RATIO, PER_SECOND, MOMENT, DAYS = "none", "cps", "dateTimeAsIso", "d"

TEXT = "string"
FIGURE = "${__field.labels.figure}"  #: name of a line that is a field (`flux.figures`)
SEGMENT_LINE = "segment ${__field.labels.segment}"  #: of a line that is a segment

Panel = cog.Builder[model.Panel]
Step = tuple[float | None, str]  #: from this value on, this colour; None for the lowest


class FluxQuery(variants.Dataquery):
    """A target of a panel; the SDK has none for InfluxDB."""

    def __init__(self, query: str, ref_id: str) -> None:
        self.query, self.ref_id = query, ref_id

    def to_json(self) -> dict[str, object]:
        """As Grafana stores it."""
        return {"refId": self.ref_id, "datasource": DATASOURCE, "query": self.query}


class _Built(cog.Builder[Any]):
    """A finished object where the SDK asks for a builder."""

    def __init__(self, built: Any) -> None:
        self._built = built

    def build(self) -> Any:
        return self._built


def new(
    title: str,
    uid: str,
    description: str,
    since: str,
    refresh: str,
    variables: Sequence[cog.Builder[model.VariableModel]] = (),
) -> build.Dashboard:
    """An empty dashboard with the links to the others."""
    others = build.DashboardLink("Vitrine").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True)
    return (
        build.Dashboard(title)
        .uid(f"vitrine-{uid}")
        .description(description)
        .tags([TAG])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .variables(list(variables))
        .links([others])
    )


def variable(name: str, label: str, description: str, measurement: Measurement) -> build.QueryVariable:
    """A choice among a tag's values in the time range; "All" also takes values that come later."""
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        build.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": tag_values(measurement, name), "refId": f"variable-{name}"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def segment_variable(measurement: Measurement) -> build.QueryVariable:
    """Choice of customer segments."""
    return variable("segment", "Segment", "Customer segments shown.", measurement)


def version_variable(measurement: Measurement) -> build.QueryVariable:
    """Choice of bundles."""
    return variable("model_version", "Model version", "Bundles whose lists are shown.", measurement)


def _fill(panel: Any, title: str, description: str, queries: Sequence[str], size: tuple[int, int], unit: str) -> Any:
    targets = [_Built(FluxQuery(query, chr(ord("A") + number))) for number, query in enumerate(queries)]
    return (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(targets)
        .span(size[0])
        .height(size[1])
        .unit(unit)
        .no_value("no data in this range")
    )


def _thresholds(panel: Any, steps: Sequence[Step]) -> Any:
    levels = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(levels))


def number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str,
    width: int,
    name: str | None = None,
    steps: Sequence[Step] = ((None, "blue"),),
    decimals: int | None = None,
    link: tuple[str, str] | None = None,
) -> Panel:
    """Large figures, one per group; `name` is what each is called, `link` a title and URL behind it."""
    panel = _thresholds(_fill(stat.Panel(), title, description, [query], (width, 5), unit), steps)
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel = panel.reduce_options(reduced.fields("/.*/" if unit == TEXT else ""))
    panel = panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.VALUE)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if link is not None:
        panel = panel.data_links([build.DashboardLink(link[0]).url(link[1])])
    return panel.display_name(name) if name else panel


def chart(
    title: str,
    description: str,
    *queries: str,
    unit: str,
    name: str,
    width: int = 12,
    stacked: options.StackingMode | None = None,
    bars: bool = False,
    steps: Sequence[Step] = (),
    interval: str | None = None,
    points: bool = False,
) -> Panel:
    """Values over time, one line (or bar) per group, legend with last, mean and greatest value."""
    panel = _fill(timeseries.Panel(), title, description, queries, (width, 8), unit)
    legend = (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.TABLE)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "mean", "max"])
    )
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    panel = panel.display_name(name).legend(legend).tooltip(tooltip).min(0).line_width(1)
    panel = panel.fill_opacity(70 if bars else 15 if stacked else 5)
    panel = panel.draw_style(options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE)
    panel = panel.show_points(options.VisibilityMode.ALWAYS if points else options.VisibilityMode.AUTO)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(stacked).group("A"))
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.DASHED)
        panel = _thresholds(panel, steps).thresholds_style(style)
    return panel.interval(interval) if interval else panel


def ranking(title: str, description: str, query: str, *, unit: str, width: int = 12) -> Panel:
    """Horizontal bars, one per row of a table of one name and one value, in its order."""
    panel = _thresholds(_fill(bargauge.Panel(), title, description, [query], (width, 8), unit), [(None, "blue")])
    reduced = common.ReduceDataOptions().values(True).calcs([]).limit(20)
    return (
        panel.min(0)
        .reduce_options(reduced)
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
    )


def grid(
    title: str,
    description: str,
    query: str,
    *,
    units: dict[str, str],
    names: dict[str, str],
    width: int = WIDTH,
    height: int = 9,
) -> Panel:
    """A table; `units` and `names` are per column."""
    panel = _fill(table.Panel(), title, description, [query], (width, height), RATIO).show_header(True)
    for column in {**names, **units}:
        properties = [model.DynamicConfigValue(id_val="displayName", value=names.get(column, column))]
        if column in units:
            properties.append(model.DynamicConfigValue(id_val="unit", value=units[column]))
        panel = panel.override_by_name(column, properties)
    return panel
