"""Streaming health: is the stream alive, fresh and bounded, and what does the API answer?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from app.monitor.dashboards.common import (
    BYTES,
    COUNT,
    FIGURE,
    PER_SECOND,
    SECONDS,
    SHARE,
    TEXT,
    Panel,
    chart,
    new,
    number,
)
from app.monitor.dashboards.flux import figures, latest, per_second, per_window, points, total, total_ratio
from app.monitor.schema import API, STREAM_PROGRESS

AIM_SECONDS, PROMISE_SECONDS = 3, 60  #: freshness: what is aimed at, what is promised
_FRESH = ((None, "green"), (AIM_SECONDS, "orange"), (PROMISE_SECONDS, "red"))
_NONE_IS_GOOD = ((None, "green"), (1, "red"))
_ROUTE = "${__field.labels.route}"


def _progress(*fields: str) -> str:
    return points(STREAM_PROGRESS, *fields)


def dashboard() -> Dashboard:
    """Freshness, throughput, durations, state, what went wrong, and the API."""
    board = new(
        "Streaming health",
        "streaming",
        "Whether the stream is alive, fresh and bounded, by the time its micro-batches ran; and what the API answers.",
        since="now-30m",
        refresh="5s",
    )
    for panel in (*_freshness(), *_faults(), _bundle(), *_charts(), *_api()):
        board.with_panel(panel)
    return board


def _freshness() -> tuple[Panel, ...]:
    return (
        number(
            "Last micro-batch",
            "Seconds since the last micro-batch of the time range began. Above a minute the stream stands still "
            "or has nothing to read.",
            f"{latest(_progress('batch_seconds'))}"
            "\n  |> map(fn: (r) => ({_value: float(v: int(v: now()) - int(v: r._time)) / 1000000000.0}))",
            unit=SECONDS,
            width=3,
            name="ago",
            steps=((None, "green"), (30, "orange"), (60, "red")),
            decimals=0,
        ),
        number(
            "Freshness p95",
            f"Of the last micro-batch: file's arrival to its lists being readable. Aim {AIM_SECONDS} s, "
            f"promise {PROMISE_SECONDS} s.",
            latest(_progress("freshness_p95_seconds")),
            unit=SECONDS,
            width=3,
            name="p95",
            steps=_FRESH,
            decimals=2,
        ),
    )


def _faults() -> tuple[Panel, ...]:
    return (
        number(
            "Rejected rows",
            "Share of the rows read that cannot be events. A sudden rise is a changed feed.",
            total_ratio(_progress("rejected_rows", "rows"), "rejected_rows", "rows"),
            unit=SHARE,
            width=3,
            name="Rejected",
            steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
            decimals=2,
        ),
        number(
            "Bundles refused",
            "Damaged bundles the stream refused in the time range; it goes on with the one in use.",
            total(_progress("bundle_refusals")),
            unit=COUNT,
            width=3,
            name="Refused",
            steps=_NONE_IS_GOOD,
        ),
        number(
            "InfluxDB retries",
            "Writes that had to be retried in the time range; nothing is skipped, but freshness suffers.",
            total(_progress("influx_retries")),
            unit=COUNT,
            width=3,
            name="Retries",
            steps=((None, "green"), (1, "orange")),
        ),
        number(
            "Unaccounted for",
            "Rows that came in, and lists, that are missing or doubled, and micro-batches without an account, at the "
            "last check. Anything but 0 is a loss; the stream's log names the micro-batches.",
            figures(latest(_progress("unaccounted_rows", "unaccounted_lists", "missing_accounts"))),
            unit=COUNT,
            width=5,
            name=FIGURE,
            steps=_NONE_IS_GOOD,
        ),
    )


def _bundle() -> Panel:
    return number(
        "Bundle in use",
        "Model version of the last micro-batch.",
        f'{latest(_progress("model_version"))}\n  |> keep(columns: ["_value"])',
        unit=TEXT,
        width=4,
    )


def _charts() -> tuple[Panel, ...]:
    freshness = _progress("freshness_p50_seconds", "freshness_p95_seconds", "freshness_max_seconds")
    durations = _progress("batch_seconds", "read_seconds", "score_seconds", "write_seconds")
    return (
        chart(
            "Freshness",
            "From a file's arrival to its lists being readable; the worst micro-batch of each point.",
            figures(per_window(freshness, fn="max")),
            unit=SECONDS,
            name=FIGURE,
            steps=_FRESH,
        ),
        chart(
            "Micro-batch durations",
            "Where the time goes: mean of each point.",
            figures(per_window(durations, fn="mean")),
            unit=SECONDS,
            name=FIGURE,
        ),
        chart(
            "Rows per second",
            "Read, rejected, and late ones (too late for their session: archived and counted in windows).",
            figures(per_second(per_window(_progress("rows", "rejected_rows", "late_rows")))),
            unit=PER_SECOND,
            name=FIGURE,
            interval="10s",
        ),
        chart(
            "Lists per second",
            "Lists written.",
            per_second(per_window(_progress("lists"))),
            unit=PER_SECOND,
            name="lists",
            interval="10s",
        ),
        chart(
            "State rows",
            "Rows in the state store: must level off once the watermark evicts.",
            per_window(_progress("state_rows"), fn="max"),
            unit=COUNT,
            name="rows",
        ),
        chart(
            "State memory",
            "Memory the state store uses: must level off too.",
            per_window(_progress("state_bytes"), fn="max"),
            unit=BYTES,
            name="bytes",
        ),
    )


def _api() -> tuple[Panel, ...]:
    return (
        chart(
            "API: requests per second",
            "Answered by all replicas, by route. Health routes are asked by the cluster.",
            per_second(per_window(points(API, "requests"), "route")),
            unit=PER_SECOND,
            name=_ROUTE,
            width=8,
            interval="10s",
        ),
        chart(
            "API: errors per second",
            "Requests refused (4xx: the client's fault, or too many) and errors (5xx: the server's).",
            figures(per_second(per_window(points(API, "refused", "errors")))),
            unit=PER_SECOND,
            name=FIGURE,
            width=8,
            interval="10s",
        ),
        chart(
            "API: latency p95",
            "From a request's head to the end of its answer, by route; the slowest replica of each point.",
            per_window(points(API, "seconds_p95"), "route", fn="max"),
            unit=SECONDS,
            name=_ROUTE,
            width=8,
            interval="10s",
        ),
    )
