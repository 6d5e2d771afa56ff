"""The last days of a shop's log, each in turn as the test: what benchmarks learn before it, and ask it."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.progress import Progress
from app.core.settings import Settings
from app.evaluate.metrics import poisson_weights, ranking_metrics
from app.evaluate.names import CUTOFFS
from app.evaluate.quality import Score, Scores
from app.evaluate.queries import Bounds, write_queries
from app.evaluate.targets import ANY, BITS, Wanted
from app.events.catalogue import read_catalogue
from app.events.ingest import ingest
from app.features.slices import Slice, make_slice
from app.insight.segments import fit_segments
from app.learn.recommender import fit_recommender
from app.serve.ragged import NONE
from app.serve.recommender import CHUNK, Recommender
from app.serve.visits import Touches, Visitors

DEPTH = max(CUTOFFS)
TARGETS = {"any": ANY} | BITS


@dataclass(frozen=True)
class Day:
    """A day that is asked: what was known before it, the recommender learned from that, and the day's queries."""

    number: int  #: from the last day of the log, which is 0
    known: Slice
    recommender: Recommender
    asked: pa.Table


def clean(spark: SparkSession, settings: Settings, scratch: Path) -> tuple[Slice, int]:
    """The whole log, cleaned, and how many rows were kept."""
    assert settings.events is not None
    catalogue = read_catalogue(spark, settings)
    named = None if catalogue is None else scratch / "catalogue"
    if catalogue is not None:
        catalogue.write.parquet(str(named))
    moment = datetime.now(UTC)
    report = ingest(spark, settings, settings.events, scratch, "20000101_000000", moment + timedelta(days=1))
    return make_slice(spark, report.cleaned, named, None, settings, scratch / "whole"), report.kept


def learned_days(
    settings: Settings, whole: Slice, numbers: Sequence[int], progress: Progress, scratch: Path
) -> Iterator[Day]:
    """Each of the days of these numbers, learned; its tables are there until the next."""
    for number in numbers:
        end = whole.until.replace(microsecond=0) + timedelta(seconds=1) - timedelta(days=number)
        with progress.stage(f"day up to {end:%Y-%m-%d %H:%M:%S}") as stage:
            day = learn_day(settings, whole, number, end, scratch / "day")
            stage.rows = len(day.asked)
            yield day
        shutil.rmtree(scratch / "day")


def learn_day(settings: Settings, whole: Slice, number: int, end: datetime, folder: Path) -> Day:
    """A recommender of what came before the last 24 hours up to a moment, and the queries that these hold."""
    spark, cut = whole.spark, end - timedelta(days=1)
    known = make_slice(spark, whole.events, whole.catalogue, cut, settings, folder / "known")
    segments = fit_segments(spark, known.folder / "users", settings.segment_count, settings.seed, folder / "segments")
    recommender = fit_recommender(known, segments.users, settings, folder / "fit")
    bounds = Bounds(settings.evaluation_queries, settings.session_max_events, settings.session_max_products)
    queries = write_queries(whole, cut, end, segments.users, segments.model.names, bounds, folder / "queries")
    return Day(number, known, recommender, queries.sample())


def check_length(length: timedelta, taken: int, flags: str) -> None:
    """Something of a log of this length must come before the days that these flags take.

    Raises
    ------
    InputError
        Nothing does.
    """
    days = length / timedelta(days=1)
    if days <= taken:
        raise InputError(f"{flags} take {taken} days, and something must come before them; the log has {days:.1f}")


def add(
    found: Scores, queries: pa.Table, replicates: int, ask: Callable[[Visitors], Mapping[str, NDArray[np.int64]]]
) -> None:
    """Ask the queries of a day, for each model's lists of product ids (n, DEPTH)."""
    for task in sorted(set(queries["task"].to_pylist())):
        of_task = queries.filter(pc.equal(queries["task"], task))
        for start in range(0, len(of_task), CHUNK):
            table = of_task.slice(start, CHUNK).combine_chunks()
            visitors = Visitors.of(
                table["user_id"].to_numpy(), table["asked_at"].to_numpy().astype(np.float64), Touches.of_table(table)
            )
            wanted, weights = Wanted.of(table), poisson_weights(table["query"].to_numpy(), replicates)
            for model, lists in ask(visitors).items():
                bits = wanted.found(lists)
                for target, bit in TARGETS.items():
                    counts = wanted.counts(bit)
                    asked = counts > 0
                    if asked.any():
                        score = Score.of(weights[asked], ranking_metrics(bits[asked] & bit > 0, counts[asked]))
                        key = (task, model, target)
                        found[key] = found[key] + score if key in found else score


def with_ids(recommender: Recommender, items: Mapping[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int64]]:
    """Lists of product ids, from those of positions."""
    ids = recommender.catalogue.product_ids
    return {name: np.where(one == NONE, NONE, ids[one]) for name, one in items.items()}
