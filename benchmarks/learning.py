"""What benchmarks on public files share: learning with the classes of the training, asking, and the closing line."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory import PeakMemory
from numpy.typing import NDArray
from public_files import Vocabulary
from pyspark.sql import SparkSession

from app.core.errors import InputError, VitrineError
from app.core.progress import Progress
from app.core.settings import Settings
from app.core.spark import create_session
from app.evaluate.metrics import ranking_metrics
from app.evaluate.names import HR_20, METRICS, MRR_20, NDCG_20, RECALL_20
from app.evaluate.targets import ANY, Wanted
from app.events.vocabulary import TOUCHES, UNKNOWN
from app.learn.recommender import FIT_OF, chosen_fits, reciprocal_rank
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from app.serve.contract import Baseline, Candidates, Generator
from app.serve.exclusions import Exclusions
from app.serve.pool import Pool
from app.serve.ragged import NONE, Ragged
from app.serve.rankers import ReciprocalRank
from app.serve.visits import Touches, Visits

DEPTH = 20
CHUNK = 1_000  #: queries answered at a time
NOTHING = Exclusions.of(np.empty(0, np.int64), np.empty(0, np.int64))
TOUCHES_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("session_id", pa.string()),
        ("product_ids", pa.list_(pa.int64())),
        ("kinds", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float32())),
        ("times", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True)
class Figures:
    """Means over the queries, with one or several targets each."""

    hr_20: float
    mrr_20: float
    recall_20: float
    ndcg_20: float


@dataclass(frozen=True)
class Queries:
    """n queries: the visits, the targets of each by number, and in the shape `left_out` what no answer may hold."""

    visits: Visits
    targets: list[NDArray[np.int64]]
    left_out: Ragged
    left_out_items: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def wanted(self) -> int:
        """Products to ask for, so that enough are left."""
        return DEPTH + int(self.left_out.lengths.max(initial=0))

    def exclusions(self, start: int, stop: int) -> Exclusions:
        """Of queries start … stop - 1."""
        shape, entries = self.left_out.slice(start, stop)
        return Exclusions.of(shape.rows(), self.left_out_items[entries])


@dataclass(frozen=True)
class Measured:
    """A model's figures beside those of the popularity baseline on the same queries."""

    model: str
    figures: Figures
    queries: int
    popularity: Figures


def tables_of(spark: SparkSession, folder: Path, vocabulary: Vocabulary, touches: Touches, timed: bool) -> Tables:
    """The tables that generators learn from, of the touches of users or sessions, products being numbers.

    Parameters
    ----------
    spark, folder
        The session, and an empty folder on its disk.
    vocabulary
        Of the products.
    touches
        A row for each session, or each user.
    timed
        Whether their times say anything; else generators get none.
    """
    users, rows, number = np.arange(len(touches)), touches.shape.rows(), len(vocabulary.items)
    interactions, sessions, interest = folder / "interactions", folder / "touches", folder / "interest"
    for path in (interactions, sessions, interest):
        path.mkdir(parents=True)
    pairs = pa.table({"user_id": users[rows], "product_id": touches.products, "rating": touches.weights})
    pq.write_table(pairs.set_column(2, "rating", pairs["rating"].cast(pa.float64())), interactions / "part-0.parquet")
    _write_parts(_touch_table(touches, timed), sessions, spark.sparkContext.defaultParallelism)
    weights = np.bincount(touches.products, touches.weights, number)
    liked = {"segment": np.full(number, NONE), "product_id": np.arange(number), "interest": (weights * 1e6).astype(int)}
    pq.write_table(pa.table(liked), interest / "part-0.parquet")
    unknown = [UNKNOWN] * number
    return Tables(
        spark=spark,
        interactions=interactions,
        touches=sessions,
        interest=interest,
        catalogue=Catalogue.of(
            pa.table(
                {
                    "product_id": np.arange(number),
                    "category_code": unknown,
                    "category": unknown,
                    "brand": unknown,
                    "avg_price": np.zeros(number),
                    "popularity": weights,
                }
            )
        ),
        user_ids=users,
        folder=folder,
    )


def _write_parts(table: pa.Table, folder: Path, parts: int) -> None:
    size = -(-len(table) // parts)
    for number in range(parts):
        pq.write_table(table.slice(number * size, size), folder / f"part-{number:05d}.parquet")


def _touch_table(touches: Touches, timed: bool) -> pa.Table:
    offsets = pa.array(touches.shape.offsets.astype(np.int32))
    values = (touches.products, touches.kinds.astype(np.int32), touches.weights, touches.times)
    columns = {
        name: pa.ListArray.from_arrays(offsets, pa.array(column)) for name, column in zip(TOUCHES, values, strict=True)
    }
    if not timed:
        columns["times"] = pa.nulls(len(touches), pa.list_(pa.float64()))
    numbers = np.arange(len(touches))
    return pa.table({"user_id": numbers, "session_id": numbers.astype(str)} | columns, schema=TOUCHES_SCHEMA)


@dataclass(frozen=True)
class Blend:
    """All generators that are set, and the ranker over them."""

    generators: dict[str, Generator]
    ranker: ReciprocalRank

    def candidates(self, visits: Visits, k: int) -> Candidates:
        parts = {name: generator.candidates(visits, k) for name, generator in self.generators.items()}
        ranked = self.ranker.rank(Pool.of(parts, NOTHING), visits, k)
        return Candidates(ranked.items, ranked.scores)


def learned(name: str, tables: Tables, settings: Settings) -> Generator | Blend:
    """A generator by its name, or the blend of them, by its ranker's."""
    fits = {kind.name: fit for kind, fit in FIT_OF.items()}
    if name == ReciprocalRank.name:
        generators = {each: fit(tables, settings) for each, fit in chosen_fits(settings).items()}
        return Blend(generators, reciprocal_rank(settings))
    if name not in fits:
        known = ", ".join([*fits, ReciprocalRank.name])
        raise InputError(f"--model {name}: there is none; choose one of {known}")
    return fits[name](tables, settings)


def popularity(tables: Tables, settings: Settings) -> Baseline:
    """The generator that has a list for everyone."""
    fit = next(fit for kind, fit in FIT_OF.items() if issubclass(kind, Baseline))
    baseline = fit(tables, settings)
    assert isinstance(baseline, Baseline)
    return baseline


def figures(answer: Callable[[int, int], Candidates], queries: Queries) -> Figures:
    """Figures of the answers to queries start … stop - 1."""
    values = []
    for start in range(0, len(queries), CHUNK):
        stop = min(start + CHUNK, len(queries))
        lists = queries.exclusions(start, stop).first_allowed(answer(start, stop), DEPTH).astype(np.int64)
        wanted = Wanted.of_lists(queries.targets[start:stop])
        values.append(ranking_metrics(wanted.found(lists) > 0, wanted.counts(ANY)))
    means = dict(zip(METRICS, np.concatenate(values).mean(axis=0), strict=True))
    return Figures(*(round(float(means[name]), 5) for name in (HR_20, MRR_20, RECALL_20, NDCG_20)))


def measured(model: str, tables: Tables, queries: Queries, settings: Settings, progress: Progress) -> Measured:
    """Figures of a generator and of the popularity baseline on the same queries."""
    deep = settings.model_copy(update={"candidates": max(queries.wanted, settings.candidates)})
    with progress.stage(f"learn {model}"):
        generator = learned(model, tables, deep)
    with progress.stage("answer") as stage:
        own = figures(
            lambda start, stop: generator.candidates(queries.visits.slice(start, stop), deep.candidates), queries
        )
        stage.rows = len(queries)
    with progress.stage("popularity"):
        baseline = popularity(tables, deep)
        popular = figures(lambda start, stop: baseline.everyone(stop - start, deep.candidates), queries)
    return Measured(model, own, len(queries), popular)


def run(name: str, settings: Settings, measure: Callable[[SparkSession, Path, Progress], Measured]) -> None:
    """Measure with a Spark session and a scratch folder, progress on standard error; print the closing line.

    A user's mistake ends the program with one line and its exit code.
    """
    begun = time.monotonic()
    with PeakMemory() as memory, TemporaryDirectory() as scratch:
        spark = create_session(settings, name)
        try:
            found = measure(spark, Path(scratch), Progress(4, lambda line: print(line, file=sys.stderr, flush=True)))
        except VitrineError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
        finally:
            spark.stop()
    line = (
        {"model": found.model}
        | asdict(found.figures)
        | {
            "queries": found.queries,
            "seconds": round(time.monotonic() - begun, 1),
            "peak_mb": round(memory.peak / 2**20),
            "popularity": asdict(found.popularity),
        }
    )
    print(json.dumps(line))
