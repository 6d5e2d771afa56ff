"""Recommendation on a shop's own log, split in time:

    python benchmarks/shop.py --events F [--catalogue F] [--layout F] [--days N] [--generators NAMES] [--ablate]
        [--ranker-days N] [--without-features NAMES]

Each of the last N days in turn is the test: a recommender is learned from what came before it, with the classes and
settings of a training, and asked what a training asks. Queries of all days are pooled. Figures are of each generator
alone, of reciprocal rank, the order that is served where a training finds none that is better (the "served order"
here), under its ranker's name, and of the same bestsellers for everyone; by task and target ("any", and what was
viewed, put into the cart, bought, or new). With a catalogue of products that nobody has touched yet also of the served
order with another such product, drawn by chance, in place of each ("new by chance"). With --ablate also of the served
order without each generator. Figures are also of LambdaMART, learned from what was asked on the N days of
--ranker-days before the tested one, of the recommenders learned before each of these; each day is learned and asked
once. Without N these are three, or as many as the log has after a first day. With --without-features also of a second
LambdaMART that these features tell nothing.

Progress is on standard error; closes with one JSON line: `served`, the name of the served order, and `results`, with
hr_10, hr_20, ndcg_10 with its interval (low, high), and for each model but the served one `served_minus`: by how much
the served order is better, with the paired interval; for the second LambdaMART also `lambdamart_minus`. Parameters are
chosen on days before those that are reported: `--skip N` leaves the last N days out.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import pyarrow as pa
from memory import PeakMemory
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from shop_days import DEPTH, add, check_length, clean, learned_days, with_ids

from app.core.errors import InputError, VitrineError
from app.core.progress import Progress
from app.core.settings import Settings, load_settings
from app.core.spark import create_session
from app.evaluate.examples import examples_of, in_order
from app.evaluate.names import HR_10, HR_20, MOST_POPULAR, NDCG_10
from app.evaluate.quality import Scores
from app.evaluate.results import MetricInterval
from app.features.slices import span
from app.learn.ranker import check_library, fit_lambdamart
from app.learn.recommender import chosen_fits, reciprocal_rank
from app.serve.pool import Pool
from app.serve.ragged import NONE
from app.serve.rankers import LambdaMART, Ranker, ReciprocalRank
from app.serve.rankers.features import feature_names
from app.serve.recommender import Recommender
from app.serve.visits import Visitors

BY_CHANCE = "new by chance"
RANKER_DAYS = 3  #: that LambdaMART learns from where nothing else is said
KNOWS_LESS = f"{LambdaMART.name} without features"
TOLD = (HR_10, HR_20, NDCG_10)


def all_lists(
    recommender: Recommender, visitors: Visitors, ablate: bool, rankers: Mapping[str, Ranker] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Product ids (n, DEPTH) of the served order, other rankers', each generator alone and the bestsellers."""
    answer = recommender.recommend(visitors, DEPTH)
    alone = answer.parts | {MOST_POPULAR: recommender.most_popular(len(visitors))}
    items = {recommender.ranker.name: answer.lists.items}
    for name, ranker in (rankers or {}).items():
        items[name] = ranker.rank(answer.pool, answer.visits, DEPTH).items
    items |= {name: answer.exclusions.first_allowed(part, DEPTH) for name, part in alone.items()}
    for left_out in answer.parts if ablate else ():
        parts = {name: part for name, part in answer.parts.items() if name != left_out}
        pool = Pool.of(parts, answer.exclusions)
        items[f"without {left_out}"] = recommender.ranker.rank(pool, answer.visits, DEPTH).items
    new = recommender.catalogue.table["popularity"].to_numpy() == 0
    if new.any():
        items[BY_CHANCE] = by_chance(answer.lists.items, new, np.random.default_rng(len(visitors)))
    return with_ids(recommender, items)


def by_chance(items: NDArray[np.int32], new: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int32]:
    """Lists with another new product in the place of each; `new` (p,) says which ones nobody has touched."""
    held = (items != NONE) & new[items]
    return np.where(held, rng.choice(np.flatnonzero(new).astype(np.int32), items.shape), items)


def lesson_days(length: timedelta, tested: int, wanted: int | None) -> int:
    """Days that LambdaMART learns from, before those `tested` or left out of a log of this length.

    Raises
    ------
    InputError
        Nothing comes before them.
    """
    check_length(length, tested + (wanted or 0), "--days, --skip and --ranker-days")
    before = length / timedelta(days=1) - tested
    return min(RANKER_DAYS, max(0, int(before) - 1)) if wanted is None else wanted


def learned(
    settings: Settings, recommender: Recommender, lessons: Sequence[pa.Table], left_out: Sequence[str]
) -> dict[str, Ranker]:
    """The ranker of what was asked on earlier days, and the one that some features tell nothing.

    Where nothing was asked that had an answer, reciprocal rank stands for both.
    """
    examples, names = in_order(pa.concat_tables(lessons)), tuple(recommender.generators)
    asked = {LambdaMART.name: examples}
    if left_out:
        asked[KNOWS_LESS] = without_features(examples, feature_names(names), left_out)
    first, catalogue = reciprocal_rank(settings), recommender.catalogue
    if len(examples) == 0:
        return dict.fromkeys(asked, first)
    return {name: fit_lambdamart(one, first, names, catalogue, settings.seed) for name, one in asked.items()}


def without_features(examples: pa.Table, names: Sequence[str], left_out: Sequence[str]) -> pa.Table:
    """Examples in which these features are the same for all, so that no tree asks for them."""
    at = examples.column_names.index("features")
    column = examples["features"].combine_chunks()
    values = column.flatten().to_numpy().reshape(-1, len(names)).copy()
    values[:, [names.index(name) for name in left_out]] = 0
    known = pa.ListArray.from_arrays(np.arange(len(values) + 1, dtype=np.int32) * len(names), values.ravel())
    return examples.set_column(at, examples.schema.field(at), known)


def features_named(text: str, settings: Settings, ranker_days: int | None) -> tuple[str, ...]:
    """Those of --without-features."""
    left_out = tuple(name.strip() for name in text.split(",") if name.strip())
    known = feature_names(tuple(chosen_fits(settings)))
    if unknown := set(left_out) - set(known):
        raise InputError(f"--without-features {','.join(sorted(unknown))}: there is none; choose of {', '.join(known)}")
    if left_out and ranker_days == 0:
        raise InputError("--without-features: no ranker is learned with --ranker-days 0")
    return left_out


def rows(found: Scores, served: str) -> list[dict[str, Any]]:
    """What the closing line tells."""
    told = []
    for (task, model, target), score in sorted(found.items(), key=lambda one: (one[0][0], one[0][2], one[0][1])):
        gain = score.summary(NDCG_10)
        figures = {name: score.means(name)[0] for name in (HR_10, HR_20)}
        figures |= {NDCG_10: gain.mean, "low": gain.low, "high": gain.high}
        row: dict[str, Any] = {"task": task, "target": target, "model": model, "queries": score.queries}
        row |= {name: round(float(value), 5) for name, value in figures.items()}
        if model != served:
            ours = found[task, served, target]
            row["served_minus"] = {name: _rounded(ours.difference(score, name)) for name in TOLD}
        if model == KNOWS_LESS:
            ours = found[task, LambdaMART.name, target]
            row["lambdamart_minus"] = {name: _rounded(ours.difference(score, name)) for name in TOLD}
        told.append(row)
    return told


def _rounded(measured: MetricInterval) -> list[float]:
    return [round(value, 5) for value in (measured.mean, measured.low, measured.high)]


@click.command(help=__doc__)
@click.option("--events", required=True)
@click.option("--catalogue")
@click.option("--layout")
@click.option("--days", default=1, show_default=True, type=click.IntRange(1), help="Days tested, each in turn.")
@click.option("--skip", default=0, show_default=True, type=click.IntRange(0), help="Days left out at the end.")
@click.option("--generators", help="Those to learn; as the setting says if not given.")
@click.option(
    "--ranker-days", type=click.IntRange(0), help="Days that LambdaMART learns from; three, or as many as there are."
)
@click.option("--without-features", default="", help="A second LambdaMART is told nothing by these, of --ranker-days.")
@click.option("--ablate", is_flag=True, help="Leave each generator out in turn.")
def main(
    days: int, skip: int, ranker_days: int | None, without_features: str, ablate: bool, **flags: str | None
) -> None:
    """Clean, learn, ask, print."""
    begun = time.monotonic()
    with PeakMemory() as memory, TemporaryDirectory() as scratch:
        try:
            settings = load_settings(**flags)
            if ranker_days is None and settings.ranker == ReciprocalRank.name:
                ranker_days = 0
            if ranker_days != 0:
                check_library()
            left_out = features_named(without_features, settings, ranker_days)
            spark = create_session(settings, "shop")
            found = measure(spark, settings, Path(scratch), days, skip, ablate, ranker_days, left_out)
        except VitrineError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    line = {
        "days": days,
        "served": ReciprocalRank.name,
        "results": found,
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(json.dumps(line | {"peak_mb": round(memory.peak / 2**20)}))


def measure(
    spark: SparkSession,
    settings: Settings,
    scratch: Path,
    days: int,
    skip: int,
    ablate: bool,
    ranker_days: int | None = None,
    left_out: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Each day in turn, with one cleaned table; the first `ranker_days` are learned from alone."""
    progress = Progress(1 + days + (ranker_days or 0), lambda line: print(line, file=sys.stderr, flush=True))
    with progress.stage("clean") as stage:
        whole, stage.rows = clean(spark, settings, scratch)
        begun, ended = span(whole.events)
        ranker_days = lesson_days(ended - begun, days + skip, ranker_days)
        progress.total = 1 + days + ranker_days
    found: Scores = {}
    lessons: list[pa.Table] = []
    numbers = range(skip, skip + days + ranker_days)[::-1]
    for day in learned_days(settings, whole, numbers, progress, scratch):
        if day.number < skip + days:
            rankers = learned(settings, day.recommender, lessons[-ranker_days:], left_out) if ranker_days else {}
            add(
                found,
                day.asked,
                settings.bootstrap,
                partial(all_lists, day.recommender, ablate=ablate, rankers=rankers),
            )
        if ranker_days:
            lessons.append(examples_of(day.recommender, day.asked, reciprocal_rank(settings)))
    return rows(found, ReciprocalRank.name)


if __name__ == "__main__":
    main()
