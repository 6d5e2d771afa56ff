"""Counts of what lists led to as points of InfluxDB."""

from app.api.attribution.counts import Counts, Row
from app.core.settings import Settings
from app.monitor.influx import influx_config, write_lines
from app.monitor.lines import Measurement
from app.monitor.schema import ATTRIBUTED_EVENTS, ATTRIBUTED_LISTS, ATTRIBUTED_PLACES

SECOND = 1_000_000_000  #: nanoseconds
DEADLINE_SECONDS = 5.0
MEASUREMENTS = {"places": ATTRIBUTED_PLACES, "lists": ATTRIBUTED_LISTS, "events": ATTRIBUTED_EVENTS}
NO_EXPERIMENT = "none"  #: tag of lists that take part in none


def publish(counts: Counts, settings: Settings) -> int:
    """Write every window whose counts have changed to the InfluxDB of the settings; how many points there are.

    A point is written again with the window's whole counts, so one that is written twice says the same.

    Raises
    ------
    VitrineError
        InfluxDB is away, or refuses; the same is written next time.
    """
    lines = [line for table in MEASUREMENTS for line in table_lines(table, counts.unwritten(table))]
    config = influx_config(settings)
    if lines and config is not None:
        write_lines(config, lines, deadline=DEADLINE_SECONDS)
        counts.mark_written()
    return len(lines)


def table_lines(table: str, rows: list[Row]) -> list[str]:
    """Rows of one of the tables as line protocol."""
    measurement = MEASUREMENTS[table]
    return [_line(measurement, row) for row in rows]


def _line(measurement: Measurement, row: Row) -> str:
    values = {**row, "time": int(row["began"]) * SECOND}
    del values["began"]
    if "experiment" in values:
        values["experiment"] = values["experiment"] or NO_EXPERIMENT
    if "source" in values:
        values["generator"] = values.pop("source")
    return measurement.line(**values)
