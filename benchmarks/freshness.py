"""Freshness: from a file's arrival to the lists of its users being readable in the sink.

    python benchmarks/freshness.py --rate 1000 --seconds 200

Makes a synthetic shop, trains the real bundle on its past (50,000 products, 20,000 users and a few more),
gives its last events times at the pace of the replay (else the watermark would evict at once what such
a rate would keep in state; --log-times leaves the log's own), then runs the stream and a replay of
these events as two processes, as they would run apart. The figures are the stream's own: a list's age
is the time from the modification time of the file that brought the event to the moment when the files
of its micro-batch are in place (and its points in InfluxDB, where one is set). Warm-up, the first
micro-batches while the JVM compiles, is left out and said. Ends with one JSON line; with --curve, lines
before it tell how memory and state went, every 30 s:

    python benchmarks/freshness.py --rate 3000 --seconds 700 --curve --log-times --output endurance

With --floor the same replay is first played to what no stream can do without: the source parsed, shuffled by
user, through a Python worker and back, without state and without a sink, at the stream's own trigger. The
line then has its figures beside the stream's, and `ratio`, of the two p95:

    python benchmarks/freshness.py --rate 1000 --floor

`events_per_s`, `waiting` and `replay_late_s` are those of the moment at which the replay ended: what the stream
had taken in a second since the warm-up, how many landed events it had not, and by how many seconds the last of
them came later than the rate asks for. The stream then goes on until it has taken in what landed, a minute at most,
and those lists count as well. One or two files always wait; more of them the longer it lasts is a
stream that doesn't keep up: `waiting_grew` is by how many events more waited in the last third of the measurement
than in its first, by the means of the middle halves of what waited, looked at twice a tick.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from memory import tree_bytes
from pace import at_pace
from pyspark.sql import DataFrame, SparkSession
from scipy.stats import trim_mean

from app.core.lease import stream_lease
from app.core.settings import Settings, load_settings
from app.core.spark import create_session
from app.events.clean import is_event
from app.jobs.replay import STATE
from app.jobs.stream import summary_line
from app.stream.engine import Stream
from app.stream.epoch import QUERY
from app.stream.folders import StreamFolders
from app.stream.freshness import Freshness, ages
from app.stream.hadoop_defaults import drop_unused
from app.stream.session_conf import SPARK_CONFIGURATION
from app.stream.source import ARRIVED, event_stream
from app.stream.telemetry import StreamSummary
from app.synthetic import cut_in_two, generate

TRAIN_EVENTS = 600_000
#: Longest wait for what the replay landed last, in seconds: a rate beyond the limit leaves minutes of it.
LAST_FILES_S = 60


@dataclass(frozen=True)
class ReplayEnd:
    """The stream at the moment when the replay ends: events it had taken in since the warm-up, what waits."""

    events: int
    seconds: float
    waiting: int
    waiting_grew: int
    replay_late_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1000, help="events a second")
    parser.add_argument("--seconds", type=float, default=200, help="length of the measurement")
    parser.add_argument("--warmup", type=float, default=40, help="seconds of replay left out of the figures")
    # A few more than the bundle is to know: not all of them are seen in its days.
    parser.add_argument("--products", type=int, default=61_000)
    parser.add_argument("--users", type=int, default=24_000, help="active users of the shop")
    parser.add_argument("--output", type=Path, default=Path("freshness"), help="work folder, kept between runs")
    parser.add_argument("--tick", type=float, default=0.5, help="seconds between two files")
    parser.add_argument("--log-times", action="store_true", help="play events with the times of the log")
    parser.add_argument("--curve", action="store_true", help="also print memory and state every 30 s")
    parser.add_argument("--floor", action="store_true", help="also measure what Spark alone takes for the same")
    asked = parser.parse_args()
    root: Path = asked.output.absolute()
    settings = files_alone(root)
    events = int(asked.rate * (asked.seconds + asked.warmup))
    history, live = _shop(root, events, asked.users, asked.products)
    if not asked.log_times:
        live = at_pace(live, asked.rate)
    vitrine = str(Path(sys.executable).with_name("vitrine"))
    if not (root / "models" / "CURRENT").exists():
        subprocess.run([vitrine, "train", "--events", str(history), "--output", str(root)], check=True)
    floor = _measure_floor(settings, vitrine, live, asked) if asked.floor else {}
    summary = _measure(settings, vitrine, live, asked)
    wanted = (
        *("p50_s", "p95_s", "p99_s", "lists", "batches", "batch_ms", "state_rows", "state_bytes"),
        *("hr_10", "hr_10_most_popular", "unaccounted"),
    )
    result = {name: summary[name] for name in wanted} | floor
    if floor:
        p95 = summary["p95_s"]  # None if all the time was not enough for a single list
        slowest = floor["floor_p95_s"]
        result["ratio"] = None if p95 is None or slowest is None else round(p95 / slowest, 2)
    result |= {"events_per_s": round(summary["events"] / summary["seconds"], 1), "slowest_batch_s": summary["max_s"]}
    result |= {name: summary[name] for name in ("waiting", "waiting_grew", "replay_late_s")}
    print(json.dumps({"synthetic": True, "rate": asked.rate, "seconds": round(summary["seconds"])} | result))
    return 0


def files_alone(root: Path) -> Settings:
    """Settings without InfluxDB, here and in the processes that are started for training and replay."""
    os.environ.pop("VITRINE_INFLUX_URL", None)
    return load_settings(output=root)


def landed(folders: StreamFolders) -> int:
    """Events that a replay has landed; none before it has begun."""
    try:
        rows: int = json.loads((folders.root / STATE).read_text())["position"]["rows"]
    except FileNotFoundError:
        return 0
    return rows


def late(folders: StreamFolders, tick: float) -> float:
    """Seconds by which the last file of a replay came later than one a tick."""
    times = sorted(file.stat().st_mtime for file in folders.landing.glob("replay-*"))
    return round(times[-1] - times[0] - (len(times) - 1) * tick, 1)


def grew(waiting: Sequence[int]) -> int:
    """By how much more waited in the last third of a time than in the first.

    What waits goes up and down by whole files, so that a median may jump by one; a stall that is made up for is no
    growth, so that a quarter at either end is left out.
    """
    third = max(len(waiting) // 3, 1)
    return round(trim_mean(waiting[-third:], 0.25) - trim_mean(waiting[:third], 0.25))


def _stop_after(
    player: subprocess.Popen[bytes], stream: Stream, asked: argparse.Namespace, end: SimpleQueue[ReplayEnd]
) -> None:
    """Stop the stream once the replay is over and its files are taken in, or enough was waited for them."""
    waiting, warm = list[int](), time.monotonic() + asked.warmup
    while player.poll() is None:
        if time.monotonic() >= warm:
            waiting.append(landed(stream.folders) - stream.telemetry.rows())
        time.sleep(asked.tick / 2)
    taken_in, since = stream.telemetry.rows(), stream.telemetry.summary()
    waiting.append(landed(stream.folders) - taken_in)
    behind = late(stream.folders, asked.tick)
    end.put(ReplayEnd(since.events, since.seconds, waiting[-1], grew(waiting), behind))
    latest = time.monotonic() + LAST_FILES_S
    while landed(stream.folders) > stream.telemetry.rows() and time.monotonic() < latest:
        time.sleep(asked.tick / 2)
    stream.stopping.set()


def _measure(settings: Settings, vitrine: str, live: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Stream here, replay in a process of its own; figures from the end of the warm-up on."""
    _empty(settings.output)
    spark = create_session(settings, "freshness", SPARK_CONFIGURATION)
    lease = stream_lease(settings.output)
    lease.acquire(wait=False, say=_say)
    try:
        stream = Stream(spark, settings, lease, _say)
        stream.start()
        with _replay(settings, vitrine, live, asked) as player:
            warm = threading.Timer(asked.warmup, stream.telemetry.forget)
            warm.start()
            end: SimpleQueue[ReplayEnd] = SimpleQueue()
            threading.Thread(target=_stop_after, args=(player, stream, asked, end), daemon=True).start()
            stream.wait(every=30 if asked.curve else 10, tell=_point if asked.curve else _line)
            summary = asdict(stream.telemetry.summary()) | asdict(end.get()) | {"batch_ms": _durations(spark)}
            stream.stop()
        return summary
    finally:
        lease.release()
        spark.stop()


def _measure_floor(settings: Settings, vitrine: str, live: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Freshness of what any stream must do: an event's age when it has come back from a worker."""
    _empty(settings.output)
    folders = StreamFolders.of(settings)
    folders.landing.mkdir(parents=True)
    # Nothing to overlap with here, where fewer and larger batches are faster.
    batches = {"spark.sql.execution.arrow.maxRecordsPerBatch": "1000"}
    spark = create_session(settings, "floor", SPARK_CONFIGURATION | batches)
    drop_unused(spark)
    spark.conf.set("spark.sql.shuffle.partitions", str(settings.stream_partitions))
    freshness, warm = Freshness(), time.monotonic() + asked.warmup

    def handle(frame: DataFrame, batch: int) -> None:
        by_user = frame.repartition(settings.stream_partitions, "user_id")
        arrived = by_user.mapInArrow(_arrivals, "arrived double, events long").collect()
        if time.monotonic() > warm:
            freshness.add(ages({row.arrived: row.events for row in arrived}, time.time()))

    kept = ("event_time", "event_type", "product_id", "user_id", "user_session", ARRIVED)
    query = (
        event_stream(spark, settings, folders.landing)
        .where(is_event())
        .select(*kept)
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", str(folders.checkpoints))
        .trigger(processingTime=f"{int(settings.lists_seconds * 1000)} milliseconds")
        .foreachBatch(handle)
        .start()
    )
    try:
        with _replay(settings, vitrine, live, asked) as player:
            player.wait()
        query.processAllAvailable()  # raises what the query failed with
        batch_ms = _durations(spark)
        query.stop()
    finally:
        spark.stop()
    p50, p95 = freshness.quantiles((0.5, 0.95))
    _say(f"floor: freshness p50 {p50} s p95 {p95} s")
    return {"floor_p50_s": p50, "floor_p95_s": p95, "floor_batch_ms": batch_ms}


def _arrivals(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Events by the arrival of their file, in seconds since 1970."""
    for batch in batches:
        counts = pc.value_counts(pc.cast(batch[ARRIVED], pa.timestamp("us", tz="UTC")).cast(pa.int64()))
        arrived = pc.divide(counts.field("values").cast(pa.float64()), 1e6)
        yield pa.RecordBatch.from_arrays([arrived, counts.field("counts")], ["arrived", "events"])


def _replay(settings: Settings, vitrine: str, live: Path, asked: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [vitrine, "replay", "--events", str(live), "--output", str(settings.output)]
    command += ["--replay-rate", str(asked.rate), "--replay-tick", str(asked.tick)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _empty(output: Path) -> None:
    for name in ("stream", "landing"):
        shutil.rmtree(output / name, ignore_errors=True)


def _durations(spark: SparkSession) -> dict[str, int]:
    """Where the time of the latest micro-batches of lists went: medians in milliseconds, as Spark names the parts."""
    (lists,) = (query for query in spark.streams.active if query.name == QUERY)
    recent = [progress.durationMs for progress in lists.recentProgress if progress.numInputRows]
    names = sorted({name for durations in recent for name in durations})
    return {name: round(median(durations.get(name, 0) for durations in recent)) for name in names}


def _line(summary: StreamSummary) -> None:
    _say(summary_line(summary))


def _point(summary: StreamSummary) -> None:
    wanted = ("seconds", "events", "p50_s", "p95_s", "state_rows", "state_bytes")
    memory = {"memory_mb": round(tree_bytes(os.getpid()) / 2**20)}
    print(json.dumps({name: getattr(summary, name) for name in wanted} | memory), flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _shop(root: Path, events: int, users: int, products: int) -> tuple[Path, Path]:
    """The past and the live part of one shop, as two files."""
    history, live = root / "history.synthetic.csv", root / "live.synthetic.csv"
    wanted = root / f"shop-{events}-{users}-{products}"
    if not wanted.exists():
        root.mkdir(parents=True, exist_ok=True)
        shop = root / "shop.synthetic.csv"
        generate(shop, TRAIN_EVENTS + events, 42, users=users, products=products)
        for other in root.glob("shop-*-*-*"):  # whose files these were
            other.unlink()
        cut_in_two(shop, TRAIN_EVENTS, history, live)
        wanted.touch()
    return history, live


if __name__ == "__main__":
    sys.exit(main())
