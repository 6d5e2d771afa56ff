"""Points of a user who was forgotten, made nobody's.

InfluxDB deletes by time and tag, and a user is a field: so the points are looked for, a day at a time, and written once
more with nobody's id in place of the user's, which overwrites it. Counts of lists and products stay as they are.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.rest import ApiException

from app.core.errors import VitrineError
from app.monitor.influx import EPOCH, InfluxConfig, connected, write_lines
from app.monitor.schema import RECOMMENDATIONS, RECOMMENDATIONS_BY_TEXT

NO_USER, NO_USER_BY_TEXT = -1, "forgotten"
DAY = timedelta(days=1)
WRITE_SECONDS = 30.0  #: that a write is given until it is left to the next try


def make_nameless(config: InfluxConfig, user: int | str, until: datetime) -> int:
    """Take a user's id out of all points up to a moment.

    Parameters
    ----------
    config
        Its token may read and write.
    user
        As points have it: a text where the shop's ids are text.
    until
        UTC.

    Returns
    -------
    int
        Points that were changed.

    Raises
    ------
    VitrineError
        The server can't be reached, or refuses.
    """
    changed = 0
    with _connected(config) as client:
        oldest = _oldest(client, config, until)
        while oldest is not None and oldest < until:
            begin = max(oldest, until - DAY)
            lines = [*_nameless(client, config, user, begin, until)]
            write_lines(config, lines, deadline=WRITE_SECONDS)
            changed, until = changed + len(lines), begin
    return changed


@contextmanager
def _connected(config: InfluxConfig) -> Iterator[InfluxDBClient]:
    try:
        with closing(connected(config)) as client:
            yield client
    except (InfluxDBError, ApiException, urllib3.exceptions.HTTPError) as error:
        reason = getattr(error, "status", None) or type(error).__name__
        raise VitrineError(f"InfluxDB at {config.url}: a user's points were not found ({reason})") from None


def _oldest(client: InfluxDBClient, config: InfluxConfig, until: datetime) -> datetime | None:
    flux = f'{_users(config, EPOCH, until)} |> first() |> group() |> sort(columns: ["_time"]) |> limit(n: 1)'
    moment = next((record.get_time() for record in client.query_api().query_stream(flux)), None)
    return None if moment is None else moment.replace(microsecond=0).astimezone(UTC)


def _nameless(
    client: InfluxDBClient, config: InfluxConfig, user: int | str, begin: datetime, end: datetime
) -> Iterator[str]:
    """The lines that overwrite a user's points."""
    wanted = _quoted(user) if isinstance(user, str) else str(user)
    measurement = RECOMMENDATIONS_BY_TEXT if isinstance(user, str) else RECOMMENDATIONS
    flux = (
        f"{_users(config, begin, end)} |> filter(fn: (r) => r._value == {wanted}) "
        "|> map(fn: (r) => ({r with at: string(v: uint(v: r._time))})) |> group()"  # to the nanosecond
    )
    tags = [tag.name for tag in measurement.tags]
    for record in client.query_api().query_stream(flux):
        yield measurement.line(
            time=int(record["at"]),
            user_id=NO_USER_BY_TEXT if isinstance(user, str) else NO_USER,
            **{tag: record[tag] for tag in tags},
        )


def _users(config: InfluxConfig, begin: datetime, end: datetime) -> str:
    return (
        f"from(bucket: {_quoted(config.bucket)}) |> range(start: {begin.isoformat()}, stop: {end.isoformat()}) "
        f'|> filter(fn: (r) => r._measurement == "{RECOMMENDATIONS.name}" and r._field == "user_id")'
    )


def _quoted(text: str) -> str:
    """A text in Flux, whatever is in it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'
