"""A shop small enough to work out lists by hand, and what its tests share.

Thirty products, the first fifteen of category a, the others of b; popularity falls with the number.
Anna is known: she looked at products 0 and 1, and bought product 3 the day before.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from app.core.lease import stream_lease
from app.core.settings import Settings
from app.events.archive_names import EPOCHS, BatchRange, Epochs
from app.events.vocabulary import RAW_COLUMNS
from app.registry.registry import Registry
from app.serve.catalogue import Catalogue
from app.serve.contract import Generator
from app.serve.generators.covisitation import CoVisitation
from app.serve.generators.popularity import Popularity
from app.serve.ragged import NONE
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Parameters, Recommender
from app.serve.segments import FEATURES, SegmentModel
from app.stream.archive import Archive
from app.stream.engine import Stream
from app.stream.epoch import marked
from app.stream.session_conf import SPARK_CONFIGURATION
from app.stream.window_files import counted_up_to, read_windows
from tests.arrays import touches, user_table
from tests.damage import turn_one_bit
from tests.registry.bundles import Entries

PRODUCTS = np.arange(100, 130)
HALF = len(PRODUCTS) // 2
ANNA, STRANGER = 5, 999
START = datetime(2019, 10, 1, 12, tzinfo=UTC)
PARAMETERS = Parameters(
    candidates=50, bought_days=30, session_max_events=100, session_max_products=20, session_idle_minutes=30
)
PATIENCE = 90.0  #: seconds, for a machine that does much else

Event = tuple[int, str, int, int, str]  #: second after START, event type, product, user, session


def recommender(
    *, reverse: bool = False, weights: dict[str, float] | None = None, text_ids: bool = False
) -> Recommender:
    """Reversed, the product with the largest number is the most popular."""
    n = len(PRODUCTS)
    catalogue = Catalogue.of(
        pa.table(
            {
                "product_id": PRODUCTS,
                "category_code": ["a.x"] * HALF + ["b.y"] * HALF,
                "category": ["a"] * HALF + ["b"] * HALF,
                "brand": ["acme"] * HALF + ["zeta"] * HALF,
                "avg_price": np.linspace(1, 30, n),
                "popularity": np.arange(n, 0, -1).astype(float),
            }
        )
    )
    users = user_table([ANNA], [0], touches([[0, 1]], [[1, 2]]), [[(3, int(START.timestamp()) - 86_400)]])
    order = np.arange(n)[::-1] if reverse else np.arange(n)
    lists = np.full((3, 3, n), NONE, np.int32)  # two segments and everyone; two categories and all
    lists[:, 0, :HALF], lists[:, 1, :HALF], lists[:, 2] = order[order < HALF], order[order >= HALF], order
    scores = np.where(lists == NONE, 0, np.linspace(1, 0.5, n)).astype(np.float32)
    ring = (np.arange(n)[:, None] % HALF + np.arange(1, 6)) % HALF + np.arange(n)[:, None] // HALF * HALF
    similarity = np.tile(np.linspace(0.9, 0.5, 5), (n, 1)).astype(np.float32)
    generators: dict[str, Generator] = {
        "covisitation": CoVisitation(ring.astype(np.int32), similarity),
        "popularity": Popularity(lists, scores, catalogue.category),
    }
    ranker = ReciprocalRank(weights or {"covisitation": 1.0, "popularity": 0.3})
    return Recommender(catalogue, users, generators, ranker, replace(PARAMETERS, text_ids=text_ids))


def write_bundle(models: Path, version: str, model: Recommender, *, publish: bool = True) -> Path:
    def fill(folder: Path) -> None:
        model.save(folder)
        means = [0.0] * len(FEATURES)
        segments = SegmentModel(means, means, [1.0] * len(FEATURES), [means] * 2, ["Regulars", "Visitors"], 0.02)
        segments.save(folder)

    folder = Registry(models).add(version, Entries(), fill)
    if publish:
        Registry(models).publish(folder.name)
    return folder


def damage(folder: Path) -> None:
    """Turn one bit of a published bundle."""
    turn_one_bit(folder / "users" / "history_products.npy")


def at(second: float) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S UTC")


def csv_row(event: Event) -> str:
    second, kind, product, user, session = event
    code = "a.x" if product < PRODUCTS[HALF] else "b.y"
    return f"{at(second)},{kind},{product},7,{code},acme,2.50,{user},{session}"


def csv_text(rows: Iterable[Event | str]) -> str:
    lines = [row if isinstance(row, str) else csv_row(row) for row in rows]
    return "\n".join([",".join(RAW_COLUMNS), *lines]) + "\n"


def land(landing: Path, name: str, content: str | bytes) -> None:
    """Write under a hidden name, then rename: how files are delivered."""
    hidden = landing / f".{name}"
    hidden.write_bytes(content.encode() if isinstance(content, str) else content)
    hidden.rename(landing / name)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something to become true; returns what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return found


class Running:
    """A stream that runs in the background of a test."""

    def __init__(self, stream: Stream, said: list[str]):
        self.stream, self.said, self.folders = stream, said, stream.folders
        self.error: BaseException | None = None
        self.delivered = 0
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        try:
            self.stream.wait()
        except BaseException as error:
            self.error = error

    def deliver(self, name: str, rows: list[Event | str]) -> None:
        """Land a CSV file, and wait until the stream is done with it."""
        self.delivered += len(rows)
        land(self.folders.landing, name, csv_text(rows))
        self.drained()

    def drained(self) -> None:
        rows = self.stream.telemetry.rows
        until(
            lambda: self.error or rows() >= self.delivered,
            f"{self.delivered} rows are taken in",
        )
        assert self.error is None, self.error

    def counted(self) -> list[dict[str, Any]]:
        """Window counts, once all that is archived is in them."""
        epochs = marked(self.folders)
        newest = Archive.of(self.folders).newest(epochs)
        until(lambda: counted_up_to(self.folders.windows, epochs.latest) >= newest, "windows are counted")
        return read_windows(self.folders.windows, epochs).to_pylist()

    def lists(self, user: int) -> list[tuple[int, list[int]]]:
        """All lists of a user: micro-batch and products, best first."""
        return lists_of(self.folders.lists, user)

    def metric(self, name: str) -> float | None:
        return self.stream.telemetry.metrics.registry.get_sample_value(name)

    def stop(self) -> None:
        self.stream.stop()
        self._thread.join(30)


def lists_of(folder: Path, user: int) -> list[tuple[int, list[int]]]:
    found = []
    for path in sorted(folder.glob("batch-*.parquet")):
        rows = [row for row in pq.read_table(path).to_pylist() if row["user_id"] == user]
        if rows:
            assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
            found.append((int(path.name.split("-")[1]), [row["product_id"] for row in rows]))
    return found


def listed(run: Running, user: int) -> list[int]:
    """The last list of a user."""
    return run.lists(user)[-1][1]


def folder_rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of an archive, or of the rejected ones beside it, as far as they count."""
    epochs = Epochs.parse(path.name for path in (folder.parent / "archive" / EPOCHS).glob("*"))
    parts = epochs.counting(part for path in folder.glob("batch*") if (part := BatchRange.parse(path.name)))
    files = [path for part in parts for path in sorted((folder / part.name).glob("*.parquet"))]
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def quick_settings(output: Path, **others: Any) -> Settings:
    """Short triggers, two partitions."""
    given = {"stream_partitions": 2, "windows_seconds": 0.2, **others}
    return Settings(output=output, **given)


@contextmanager
def running(spark: SparkSession, settings: Settings) -> Iterator[Running]:
    """A stream in this process; Spark's configuration is put back afterwards."""
    names = ["spark.sql.shuffle.partitions", *(name for name in SPARK_CONFIGURATION if name.startswith("spark.sql."))]
    before = {name: spark.conf.get(name, None) for name in names}
    said: list[str] = []
    lease = stream_lease(settings.output)
    lease.acquire(wait=False, say=said.append)
    try:
        stream = Stream(spark, settings, lease, said.append)
        stream.start()
        run = Running(stream, said)
        try:
            yield run
        finally:
            run.stop()
    finally:
        lease.release()
        for name, value in before.items():
            if value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, value)
