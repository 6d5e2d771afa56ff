"""Writing line protocol to InfluxDB 2: batched, retried, nothing skipped.

Synchronous writes: the client's batching mode has lost data when used from Spark's foreach
writers (influxdb-client-python #504). What fails for want of a server is tried again until it
succeeds; what the server refuses is an error at once, since trying again cannot help.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Self

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from app.core.errors import InputError, VitrineError
from app.core.settings import Settings

BATCH_LINES = 5_000  # InfluxDB's own advice for the size of a write
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between tries, doubled from one to the other
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STOP_CHECK = 1.0  # seconds: how often a wait looks whether to stop


@dataclass(frozen=True)
class InfluxConfig:
    """Where to write. Picklable, so that it can travel to Spark's workers.

    Parameters
    ----------
    url, org, bucket
        As InfluxDB knows them.
    token
        Never shown: not in repr, not in an error.
    timeout
        Seconds a request may take.
    """

    url: str
    token: str = field(repr=False)
    org: str
    bucket: str
    timeout: float = 30.0


def trying_again(reason: str) -> str:
    """The line shown before each new try."""
    return f"InfluxDB: {reason}; trying again, nothing is skipped"


@dataclass(frozen=True)
class Written:
    """Result of a write: lines written, and number of retries."""

    lines: int
    retries: int


class InfluxWriter:
    """An open connection that writes lines until they are all there.

    Parameters
    ----------
    config
        Where to write.
    stop
        Asked while waiting to try again; True gives up.
    deadline
        Seconds after which a batch of lines that still cannot be written is given up; None waits for ever.
    on_retry
        Called with the reason before each wait.
    clock, sleep, jitter
        Injected by tests. `jitter` gives a number in [0, 1).
    """

    def __init__(
        self,
        config: InfluxConfig,
        *,
        stop: Callable[[], bool] = lambda: False,
        deadline: float | None = None,
        on_retry: Callable[[str], None] = lambda reason: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config, self._stop, self._deadline, self._on_retry = config, stop, deadline, on_retry
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._client = connected(config)
        self._api = self._client.write_api(write_options=SYNCHRONOUS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def write(self, lines: Iterable[str]) -> Written:
        """Write all lines, in batches, in order.

        Raises
        ------
        InputError
            The server refuses the lines: wrong token, no such bucket, malformed line.
        VitrineError
            `stop` or `deadline` came before the lines were written.
        """
        rest = iter(lines)
        written = retries = 0
        while batch := list(islice(rest, BATCH_LINES)):
            retries += self._write_batch("\n".join(batch).encode())
            written += len(batch)
        return Written(written, retries)

    def _write_batch(self, body: bytes) -> int:
        """Write one request's body; returns the number of retries."""
        started, retries = self._clock(), 0
        while True:
            try:
                self._api.write(self._config.bucket, self._config.org, body)
                return retries
            except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
                reason, asked = _passing(error, self._config)
            self._on_retry(reason)
            self._wait(max(asked, self._backoff(retries)), started, reason)
            retries += 1

    def _backoff(self, retries: int) -> float:
        """Seconds to wait: doubling, capped, the upper half random so that writers do not return together."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(retries, 10))
        return longest / 2 * (1 + self._jitter())

    def _wait(self, seconds: float, started: float, reason: str) -> None:
        until = self._clock() + seconds
        while True:
            waited = self._clock() - started
            if self._stop() or (self._deadline is not None and waited >= self._deadline):
                raise VitrineError(
                    f"InfluxDB at {self._config.url}: {reason}; gave up after {waited:.0f} s with lines unwritten, "
                    "write them again once the server is back"
                )
            left = until - self._clock()
            if left <= 0:
                return
            self._sleep(min(left, STOP_CHECK))


def write_lines(
    config: InfluxConfig,
    lines: Iterable[str],
    *,
    stop: Callable[[], bool] = lambda: False,
    deadline: float | None = None,
    on_retry: Callable[[str], None] = lambda reason: None,
) -> Written:
    """Open a connection, write all lines, close it; for a Spark partition. See `InfluxWriter`."""
    with InfluxWriter(config, stop=stop, deadline=deadline, on_retry=on_retry) as writer:
        return writer.write(lines)


def delete_before(config: InfluxConfig, measurements: Iterable[str], moment: datetime) -> None:
    """Delete the points of some measurements that are older than a moment (UTC).

    Raises
    ------
    VitrineError
        The server can't be reached, or refuses.
    """
    client = connected(config)
    try:
        for name in measurements:
            predicate = f'_measurement="{name}"'
            client.delete_api().delete(EPOCH, moment, predicate, bucket=config.bucket, org=config.org)
    except (InfluxDBError, ApiException, urllib3.exceptions.HTTPError) as error:
        raise VitrineError(f"InfluxDB at {config.url}: old points could not be deleted ({error})") from None
    finally:
        client.close()


def influx_config(settings: Settings) -> InfluxConfig | None:
    """Where to write points; None if no URL is set."""
    if settings.influx_url is None:
        return None
    token = settings.influx_token.get_secret_value() if settings.influx_token else ""
    return InfluxConfig(
        settings.influx_url, token, settings.influx_org, settings.influx_bucket, settings.influx_timeout
    )


def check(config: InfluxConfig) -> None:
    """Ask the server once whether these settings can write; writes nothing.

    Raises
    ------
    InputError
        One line: what is wrong and what to do.
    """
    client = connected(config)
    try:
        # An empty write: the server checks organisation, bucket and permission, then has nothing to do.
        client.write_api(write_options=SYNCHRONOUS).write(config.bucket, config.org, b"\n")
    except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
        reason, _ = _passing(error, config)
        raise InputError(f"InfluxDB at {config.url}: {reason}; is it running, is the URL right?") from None
    finally:
        client.close()


def connected(config: InfluxConfig) -> InfluxDBClient:
    """A client, to be closed."""
    return InfluxDBClient(
        config.url, config.token, org=config.org, timeout=int(config.timeout * 1000), enable_gzip=True
    )


_REFUSED = {
    400: "the lines are malformed",
    401: "the token is not valid; set the token of an authorisation that may write",
    403: "the token may not write to this bucket; give it write permission",
    404: "no such bucket or organisation; create it or correct its name",
    413: "the request is too large for the server",
    422: "points refused: a field's type has changed, or the time lies outside the bucket's retention",
}


def _passing(error: Exception, config: InfluxConfig) -> tuple[str, float]:
    """What a failure that may pass is called, and the seconds the server asks to wait; raises if it won't pass."""
    if isinstance(error, urllib3.exceptions.HTTPError):
        return f"not reachable ({type(error).__name__})", 0.0
    assert isinstance(error, InfluxDBError)
    status = getattr(error, "status", None)
    if status == 0:  # how the client reports a failed TLS handshake
        detail = " ".join(str(getattr(error, "reason", "")).split())
        if "CERTIFICATE_VERIFY_FAILED" in detail:
            raise InputError(f"InfluxDB at {config.url}: {detail}; correct the URL or the certificates") from None
        return f"not reachable ({detail})", 0.0
    if status is None or status == 429 or status >= 500:
        return f"answers {status or 'nothing'}", _retry_after(error.retry_after)
    message = " ".join(str(error.message).split())[:300]
    raise InputError(
        f"InfluxDB at {config.url}, organisation {config.org}, bucket {config.bucket}: "
        f"{_REFUSED.get(status, 'the write is refused')} ({status}: {message})"
    ) from None


def _retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header, given as a number or a date; 0 where absent or unreadable."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(urllib3.Retry().parse_retry_after(header)))
    except urllib3.exceptions.InvalidHeader:
        return 0.0
