"""What Spark reports about a micro-batch once it has committed it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from py4j.java_gateway import JavaObject
from pyspark import SparkContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.listener import StreamingQueryListener

from app.events.clean import is_event

METRICS = "taken_in"  #: names what is counted at the source


@dataclass(frozen=True)
class BatchProgress:
    """A committed micro-batch, or an idle trigger with no rows.

    `time` is its start in nanoseconds since 1970; `event_time` (of the latest event) are seconds since
    1970, None without rows; `state_bytes` is what the state takes in memory; `dropped` are sessions
    of which events came too late.
    """

    query: str
    batch: int
    time: int
    rows: int
    rejected: int
    dropped: int
    event_time: float | None
    batch_seconds: float
    read_seconds: float
    state_rows: int
    state_bytes: int

    @classmethod
    def from_json(cls, text: str) -> "BatchProgress":
        """From the JSON of a `StreamingQueryProgress`, of a query that reads `observed` events."""
        reported: dict[str, Any] = json.loads(text)
        seen = (reported.get("observedMetrics") or {}).get(METRICS) or {}
        operators = reported.get("stateOperators") or []
        duration = reported.get("durationMs") or {}
        started = np.datetime64(reported["timestamp"].removesuffix("Z"), "ns")
        return cls(
            reported["name"] or "",
            int(reported["batchId"]),
            int(started.astype(np.int64)),
            int(seen.get("rows") or 0),
            int(seen.get("rejected") or 0),
            sum(operator.get("numRowsDroppedByWatermark", 0) for operator in operators),
            _seconds(seen.get("event_time")),
            duration.get("triggerExecution", 0) / 1000,
            (duration.get("latestOffset", 0) + duration.get("queryPlanning", 0)) / 1000,
            sum(operator.get("numRowsTotal", 0) for operator in operators),
            sum(operator.get("memoryUsedBytes", 0) for operator in operators),
        )


def observed(events: DataFrame) -> DataFrame:
    """Events of a stream with the counts of `BatchProgress` made on the way."""
    return events.observe(
        METRICS,
        F.count("*").alias("rows"),
        F.count_if(F.col("reason").isNotNull()).alias("rejected"),
        F.max(F.when(is_event(), F.col("event_time"))).cast("double").alias("event_time"),
    )


class ProgressListener(StreamingQueryListener):
    """Hands on the progress of every query of a session, from a thread of Spark's own.

    The JVM calls it itself, with its own events. Between them PySpark would make Python objects of all that an event
    has, by some hundred calls of the JVM that take 40 ms of a micro-batch, where its JSON is all that is needed.
    """

    def __init__(self, take: Callable[[BatchProgress], None]):
        self._take = take

    @cached_property
    def _jlistener(self) -> JavaObject:
        jvm = SparkContext._jvm
        assert jvm is not None
        return jvm.PythonStreamingQueryListenerWrapper(self)

    def onQueryStarted(self, event: JavaObject) -> None:  # noqa: N802 - Spark's name
        pass

    def onQueryProgress(self, event: JavaObject) -> None:  # noqa: N802
        self._take(BatchProgress.from_json(event.progress().json()))

    def onQueryIdle(self, event: JavaObject) -> None:  # noqa: N802
        pass

    def onQueryTerminated(self, event: JavaObject) -> None:  # noqa: N802
        pass

    class Java:
        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)
