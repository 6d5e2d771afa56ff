"""Flux, the only query language of these dashboards, built from the declared measurements.

All Flux is in this folder: InfluxDB 3 has none, and would need new queries here and nowhere else.
Bucket and time range are Grafana's `v` record, so no bucket's name is in a dashboard.
"""

from app.monitor.lines import Measurement

ROLLING_POINTS = 10  #: points of a chart's resolution that a rolling ratio is taken over


RANGE = "start: v.timeRangeStart, stop: v.timeRangeStop"


def points(measurement: Measurement, *fields: str, span: str = RANGE) -> str:
    """The fields of a measurement in the time range, filtered by the variables its tags have.

    Raises
    ------
    ValueError
        The measurement has no such field.
    """
    known = {field.name for field in measurement.fields}
    if not fields or set(fields) - known:
        raise ValueError(f"measurement {measurement.name}: no fields {sorted(set(fields) - known)}")
    wanted = " or ".join(f'r._field == "{field}"' for field in fields)
    filters = "".join(
        f"\n  |> filter(fn: (r) => r.{tag.name} =~ /^${{{tag.name}:regex}}$/)"
        for tag in measurement.tags
        if tag.name in VARIABLES
    )
    return (
        "from(bucket: v.defaultBucket)"
        f"\n  |> range({span})"
        f'\n  |> filter(fn: (r) => r._measurement == "{measurement.name}")'
        f"\n  |> filter(fn: (r) => {wanted}){filters}"
    )


#: Tags that dashboards filter by: a dashboard that queries such a measurement must have the variable.
VARIABLES = ("segment", "model_version")


def tag_values(measurement: Measurement, tag: str) -> str:
    """The values a tag has in the time range, for a variable."""
    return (
        'import "influxdata/influxdb/schema"\n'
        f'schema.tagValues(bucket: v.defaultBucket, tag: "{tag}", '
        f'predicate: (r) => r._measurement == "{measurement.name}", '
        f"{RANGE})"
    )


def columns(*names: str) -> str:
    """Names as a Flux array."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def per_window(query: str, *by: str, fn: str = "sum") -> str:
    """One value per window of the chart's resolution and group.

    The first aggregation is done by the storage engine, series by series; the second merges the
    series of a group. Windows bear their start, as the points do.
    """
    window = f'\n  |> aggregateWindow(every: v.windowPeriod, fn: {fn}, createEmpty: false, timeSrc: "_start")'
    return f"{query}{window}\n  |> group(columns: {columns(*by, '_field')}){window}"


def total(query: str, *by: str) -> str:
    """One sum per group over the whole range."""
    return f"{query}\n  |> group(columns: {columns(*by, '_field')})\n  |> sum()"


def per_second(query: str) -> str:
    """Sums per window as a rate."""
    return (
        f"{query}\n  |> map(fn: (r) => "
        "({r with _value: float(v: r._value) / float(v: int(v: v.windowPeriod)) * 1000000000.0}))"
    )


def rolling_ratio(query: str, top: str, bottom: str, *by: str) -> str:
    """One field's sum over another's, over the last ten windows, per group."""
    return (
        f"{per_window(query, *by)}"
        f"\n  |> movingAverage(n: {ROLLING_POINTS})"
        f'\n  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        f"{_divided(top, bottom)}\n  |> keep(columns: {columns('_time', '_value', *by)})"
    )


def total_ratio(query: str, top: str, bottom: str, *by: str) -> str:
    """One field's sum over another's, over the whole range, per group."""
    return (
        f"{total(query, *by)}"
        f'\n  |> pivot(rowKey: {columns(*by)}, columnKey: ["_field"], valueColumn: "_value")'
        f"{_divided(top, bottom)}\n  |> keep(columns: {columns('_value', *by)})"
    )


def latest(query: str, *by: str) -> str:
    """The newest value of each field per group."""
    return (
        f"{query}\n  |> last()\n  |> group(columns: {columns(*by, '_field')})"
        '\n  |> sort(columns: ["_time"])\n  |> last()'
    )


def figures(query: str) -> str:
    """The field's name as a label, for legends of several fields."""
    return f'{query}\n  |> rename(columns: {{_field: "figure"}})'


def by_training(measurement: Measurement, *fields: str) -> str:
    """Fields over time, one point per training."""
    return figures(f'{points(measurement, *fields)}\n  |> group(columns: ["_field"])\n  |> sort(columns: ["_time"])')


def by_training_and(query: str, tag: str) -> str:
    """A line for each value of a tag, one point per training."""
    return f'{query}\n  |> group(columns: {columns(tag, "_field")})\n  |> sort(columns: ["_time"])'


def ranked(query: str, name: str) -> str:
    """Groups as rows of one table of name and value, the greatest first."""
    return f"{query}\n  |> group()\n  |> keep(columns: {columns(name, '_value')})\n  |> top(n: 10)"


def as_table(query: str, *keys: str) -> str:
    """Points as rows of one table, a column per field, newest first."""
    return (
        f"{query}\n  |> drop(columns: {columns('_start', '_stop', '_measurement')})"
        f'\n  |> pivot(rowKey: {columns("_time", *keys)}, columnKey: ["_field"], valueColumn: "_value")'
        '\n  |> group()\n  |> sort(columns: ["_time"], desc: true)'
    )


def _divided(top: str, bottom: str) -> str:
    return (
        f"\n  |> filter(fn: (r) => r.{bottom} > 0)"
        f"\n  |> map(fn: (r) => ({{r with _value: float(v: r.{top}) / float(v: r.{bottom})}}))"
    )
