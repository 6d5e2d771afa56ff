"""What benchmarks on public files share: learning with the classes of the training, asking, and the closing line."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from memory import PeakMemory
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from app.core.errors import InputError, VitrineError
from app.core.progress import Progress
from app.core.settings import Settings
from app.core.spark import create_session
from app.evaluate.metrics import ranking_metrics
from app.evaluate.names import HR_20, METRICS, MRR_20, NDCG_20, RECALL_20
from app.evaluate.targets import ANY, Wanted
from app.learn.recommender import FIT_OF, Fit, chosen_fits, reciprocal_rank
from app.learn.tables import Tables
from app.serve.contract import Baseline, Candidates, Generator
from app.serve.exclusions import Exclusions
from app.serve.pool import Pool
from app.serve.ragged import Ragged
from app.serve.rankers import Ranker, ReciprocalRank
from app.serve.visits import Visits

DEPTH = 20
PROPOSALS = 50_000  #: of each generator at a time


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

    def take(self, wanted: NDArray[np.int64]) -> "Queries":
        """Some of the queries, by index."""
        asked, (shape, entries) = self.visits, self.left_out.take(wanted)
        visits = Visits(
            asked.users[wanted],
            asked.segments[wanted],
            asked.history.take(wanted),
            asked.session.take(wanted),
            asked.on_screen[wanted],
            asked.now[wanted],
        )
        return Queries(visits, [self.targets[one] for one in wanted], shape, self.left_out_items[entries])

    def exclusions(self, start: int, stop: int) -> Exclusions:
        """Of queries start … stop - 1."""
        shape, entries = self.left_out.slice(start, stop)
        return Exclusions.of(shape.rows(), self.left_out_items[entries])


@dataclass(frozen=True)
class Measured:
    """A model's figures beside those of the popularity baseline on the same queries; `why` it was chosen, if it was."""

    model: str
    figures: Figures
    queries: int
    popularity: Figures
    why: str = ""


@dataclass(frozen=True)
class Order:
    """What answers: a generator alone (`ranker` is None), or a ranker over all; its name, and why it was chosen."""

    name: str
    ranker: Ranker | None = None
    why: str = ""


def ordered_by(model: str | None, chosen: Callable[[], Order], settings: Settings) -> Order:
    """What --model names; without it, what is chosen."""
    if model is None:
        return chosen()
    return Order(model, reciprocal_rank(settings) if model == ReciprocalRank.name else None)


def stages_of(model: str | None) -> int:
    """Stages of progress: choosing takes two."""
    return 4 if model else 6


@dataclass(frozen=True)
class Proposed:
    """What generators propose to some queries, alone and as a pool, without what no answer may hold."""

    visits: Visits
    exclusions: Exclusions
    parts: dict[str, Candidates]
    pool: Pool

    def alone(self, name: str) -> NDArray[np.int64]:
        """The lists (n, DEPTH) of one generator."""
        return self.exclusions.first_allowed(self.parts[name], DEPTH).astype(np.int64)

    def ordered(self, ranker: Ranker) -> NDArray[np.int64]:
        """The lists (n, DEPTH) of all generators."""
        return ranker.rank(self.pool, self.visits, DEPTH).items.astype(np.int64)


def proposed(generators: dict[str, Generator], queries: Queries, start: int, stop: int, k: int) -> Proposed:
    """k products of each generator to queries start … stop - 1."""
    visits, exclusions = queries.visits.slice(start, stop), queries.exclusions(start, stop)
    parts = {name: generator.candidates(visits, k) for name, generator in generators.items()}
    return Proposed(visits, exclusions, parts, Pool.of(parts, exclusions))


def chunks(queries: Queries, k: int) -> Iterator[tuple[int, int]]:
    """Queries to answer at a time: fewer where each generator is asked for more."""
    size = max(1, PROPOSALS // k)
    return ((start, min(start + size, len(queries))) for start in range(0, len(queries), size))


def all_generators(tables: Tables, settings: Settings) -> dict[str, Generator]:
    """Those that are set, learned."""
    return {name: fit(tables, settings) for name, fit in chosen_fits(settings).items()}


def fit_of(name: str) -> Fit:
    """How a generator is learned."""
    fits = {kind.name: fit for kind, fit in FIT_OF.items()}
    if name not in fits:
        known = ", ".join([*fits, ReciprocalRank.name])
        raise InputError(f"--model {name}: there is none; choose one of {known}")
    return fits[name]


def deep(settings: Settings, queries: Queries) -> Settings:
    """With as many candidates as fill each list, whatever is left out."""
    return settings.model_copy(update={"candidates": max(queries.wanted, settings.candidates)})


def popularity(tables: Tables, settings: Settings) -> Baseline:
    """The generator that has a list for everyone."""
    fit = next(fit for kind, fit in FIT_OF.items() if issubclass(kind, Baseline))
    baseline = fit(tables, settings)
    assert isinstance(baseline, Baseline)
    return baseline


def figures(answer: Callable[[int, int], NDArray[np.int64]], queries: Queries, k: int) -> Figures:
    """Figures of the lists (n, DEPTH) of queries start … stop - 1."""
    values = []
    for start, stop in chunks(queries, k):
        wanted = Wanted.of_lists(queries.targets[start:stop])
        values.append(ranking_metrics(wanted.found(answer(start, stop)) > 0, wanted.counts(ANY)))
    means = dict(zip(METRICS, np.concatenate(values).mean(axis=0), strict=True))
    return Figures(*(round(float(means[name]), 5) for name in (HR_20, MRR_20, RECALL_20, NDCG_20)))


def check_cut(earlier: Sized, later: Sized) -> None:
    """Whether something lies on both sides of where a slice is cut from a training file.

    Raises
    ------
    InputError
        It does not.
    """
    if not (len(earlier) and len(later)):
        raise InputError("the training file holds too little to cut a slice from it")


def measured(order: Order, tables: Tables, queries: Queries, settings: Settings, progress: Progress) -> Measured:
    """Figures of a model, and of the popularity baseline on the same queries.

    Parameters
    ----------
    order
        What answers.
    tables, queries
        To learn from, and to ask.
    settings
        Of generators.
    progress
        Gets three stages.

    Raises
    ------
    InputError
        There are no queries.
    """
    if len(queries) == 0:
        raise InputError("the test asks nothing: nothing comes after the first event of a session")
    settings = deep(settings, queries)
    k, ranker = settings.candidates, order.ranker
    with progress.stage(f"learn {order.name}"):
        if ranker is None:
            generators = {order.name: fit_of(order.name)(tables, settings)}
        else:
            generators, ranker = all_generators(tables, settings), ranker.over(tables.catalogue)

    def answer(start: int, stop: int) -> NDArray[np.int64]:
        found = proposed(generators, queries, start, stop, k)
        return found.alone(order.name) if ranker is None else found.ordered(ranker)

    with progress.stage("answer") as stage:
        own = figures(answer, queries, k)
        stage.rows = len(queries)
    with progress.stage("popularity"):
        baseline = popularity(tables, settings)

        def same(start: int, stop: int) -> NDArray[np.int64]:
            lists = baseline.everyone(stop - start, k)
            return queries.exclusions(start, stop).first_allowed(lists, DEPTH).astype(np.int64)

        popular = figures(same, queries, k)
    return Measured(order.name, own, len(queries), popular, order.why)


def run(
    name: str, settings: Settings, measure: Callable[[SparkSession, Path, Progress], Measured], stages: int
) -> None:
    """Measure with a Spark session and a scratch folder, progress on standard error; print the closing line.

    A user's mistake ends the program with one line and its exit code.
    """
    begun = time.monotonic()
    with PeakMemory() as memory, TemporaryDirectory() as scratch:
        spark = create_session(settings, name)
        try:
            found = measure(
                spark, Path(scratch), Progress(stages, lambda line: print(line, file=sys.stderr, flush=True))
            )
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
        | ({"why": found.why} if found.why else {})
    )
    print(json.dumps(line))
