"""Co-visitation from other pairs, on a shop's own log, split in time:

    python benchmarks/typed_pairs.py --events F [--layout F] [--days N] [--skip N]

Each of the last N days in turn is the test, learned and asked as benchmarks/shop.py does it; `--skip N` leaves the last
N days out. Then co-visitation is replaced by one of the same similarity, whose pairs count otherwise: by what was done
with both products, by the time between them, of a user in place of a session (within the same bounds). Figures are of
co-visitation alone and of the served order with it, by task and target.

Progress is on standard error; closes with one JSON line: `served`, the name of the served order, and `results`, with
ndcg_10 of each variant and by how much it is better than what is shipped, with the paired interval (low, high).
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from memory import PeakMemory
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix
from shop_days import DEPTH, TARGETS, Day, add, check_length, clean, learned_days, with_ids

from app.core.duck import Relation, connect, query
from app.core.errors import InputError, VitrineError
from app.core.parts import read_table
from app.core.progress import Progress
from app.core.settings import Settings, load_settings
from app.core.spark import create_session
from app.evaluate.names import NDCG_10, SESSION, USER
from app.evaluate.quality import Scores
from app.events.vocabulary import CART, KINDS, PURCHASE
from app.features.sessions import fold
from app.features.slices import span
from app.learn.covisitation import similarities
from app.learn.recommender import chosen_fits
from app.serve.catalogue import Catalogue
from app.serve.generators import CoVisitation
from app.serve.pool import Pool
from app.serve.rankers import ReciprocalRank
from app.serve.recommender import Recommender
from app.serve.sparse import best_columns
from app.serve.visits import Visitors

ALONE, SERVED = "alone", "served"
HOUR = 3_600  #: seconds
#: View–view 1, view–cart 2, view–purchase 3, cart–cart 3, cart–purchase 4, purchase–purchase 5, by `KINDS`.
BY_TYPE = "(a.kind + b.kind - 1)"
BOUGHT, CARTED = KINDS.index(PURCHASE), KINDS.index(CART)
#: Seconds: the more committed both are, the longer.
PATIENCE = (
    f"(case when least(a.kind, b.kind) = {BOUGHT} then {7 * 24 * HOUR} "
    f"when least(a.kind, b.kind) = {CARTED} then {24 * HOUR} else {HOUR} end)"
)


def within(seconds: int | str) -> str:
    """What is left of a pair after the time between its touches."""
    return f"exp(-abs(a.at - b.at) / {seconds})"


@dataclass(frozen=True)
class Pairs:
    """`counts`: what a pair of touches `a` and `b`, each with kind, weight and at (seconds), counts, in SQL.

    `of_users`: also those of different sessions of a user count.
    """

    counts: str
    of_users: bool = False


SHIPPED = "as shipped"
VARIANTS = {
    SHIPPED: Pairs("sqrt(a.weight::double) * sqrt(b.weight::double)"),
    "all types alike": Pairs("1.0"),
    "all types alike, window of 1 h": Pairs(within(HOUR)),
    "all types alike, window of 15 min": Pairs(within(HOUR // 4)),
    "by type": Pairs(BY_TYPE),
    "by type, a user's, windows by type": Pairs(f"{BY_TYPE} * {within(PATIENCE)}", of_users=True),
}


def pair_sums(touches: Relation, counts: str) -> Relation:
    """What pairs of products count together: product, other, value; each product also with itself.

    Parameters
    ----------
    touches
        `app.features.sessions.TOUCH_SCHEMA`, each row a session's or a user's.
    counts
        As in `Pairs`. What was only removed from the cart is in no pair.
    """
    return query(
        f"""
        with visits as (select row_number() over () as visit, * from touches),
        touched as (
            select visit, unnest(product_ids) as product, unnest(kinds) as kind, unnest(weights) as weight,
                unnest(times) as at
            from visits
        ),
        counted as (select * from touched where weight > 0)
        select a.product as product, b.product as other, sum({counts})::double as value
        from counted a join counted b on a.visit = b.visit group by a.product, b.product
        """,
        touches=touches,
    )


def covisitation(touches: Relation, counts: str, catalogue: Catalogue, neighbours: int) -> CoVisitation:
    """Learned from these pairs as `app.learn.covisitation` does; a product's norm is what it counts with itself."""
    table = pair_sums(touches, counts).to_arrow_table()
    one, other = (catalogue.positions(table[name].to_numpy()) for name in ("product", "other"))
    n = len(catalogue.product_ids)
    sums = csr_matrix((table["value"].to_numpy(), (one, other)), shape=(n, n))
    rows = similarities(lambda products: sums[products], sums.diagonal(), catalogue.available, neighbours)()
    best = best_columns(rows(np.arange(n)), neighbours)
    return CoVisitation(best.items, best.scores)


def variants(day: Day, settings: Settings, spill: Path) -> dict[str, CoVisitation]:
    """Co-visitation of each kind, of what was known before the day."""
    known, catalogue = day.known, day.recommender.catalogue
    with connect(spill) as connection:
        sessions = read_table(connection, known.folder / "touches")
        events = read_table(connection, known.events).filter(f"event_time < timestamp '{known.until}'")
        users = fold(events, "user_id", settings.session_max_events, settings.session_max_products)
        return {
            name: covisitation(
                users if pairs.of_users else sessions, pairs.counts, catalogue, settings.covisitation_neighbours
            )
            for name, pairs in VARIANTS.items()
        }


def lists_of(
    recommender: Recommender, others: Mapping[str, CoVisitation], visitors: Visitors
) -> dict[str, NDArray[np.int64]]:
    """Product ids (n, DEPTH) of each co-visitation alone, and of the served order with it."""
    answer, items = recommender.recommend(visitors, DEPTH), {}
    for name, other in others.items():
        part = other.candidates(answer.visits, recommender.parameters.candidates)
        pool = Pool.of(answer.parts | {CoVisitation.name: part}, answer.exclusions)
        items[model(name, ALONE)] = answer.exclusions.first_allowed(part, DEPTH)
        items[model(name, SERVED)] = recommender.ranker.rank(pool, answer.visits, DEPTH).items
    return with_ids(recommender, items)


def model(variant: str, order: str) -> str:
    """The name that its scores are filed by."""
    return f"{variant}: {order}"


def rows(found: Scores) -> list[dict[str, Any]]:
    """What the closing line tells."""
    told = []
    asked = [(task, order, target) for task in (SESSION, USER) for order in (ALONE, SERVED) for target in TARGETS]
    for (task, order, target), variant in product(asked, VARIANTS):
        score = found.get((task, model(variant, order), target))
        if score is not None:  # else no query has such a target
            more = score.difference(found[task, model(SHIPPED, order), target], NDCG_10)
            figures = {NDCG_10: score.means(NDCG_10)[0], "minus_shipped": more.mean, "low": more.low, "high": more.high}
            row: dict[str, Any] = {"variant": variant, "task": task, "target": target, "model": order}
            row |= {name: round(float(value), 5) for name, value in figures.items()}
            told.append(row | {"queries": score.queries})
    return told


def measure(spark: SparkSession, settings: Settings, scratch: Path, days: int, skip: int) -> list[dict[str, Any]]:
    """Each day in turn, with one cleaned table."""
    if CoVisitation.name not in chosen_fits(settings):
        raise InputError(f"setting generators (VITRINE_GENERATORS): needs {CoVisitation.name}, which is replaced")
    progress = Progress(1 + days, lambda line: print(line, file=sys.stderr, flush=True))
    with progress.stage("clean") as stage:
        whole, stage.rows = clean(spark, settings, scratch)
        begun, ended = span(whole.events)
        check_length(ended - begun, days + skip, "--days and --skip")
    found: Scores = {}
    for day in learned_days(settings, whole, range(skip, skip + days)[::-1], progress, scratch):
        others = variants(day, settings, scratch / "spill")
        add(found, day.asked, settings.bootstrap, partial(lists_of, day.recommender, others))
    return rows(found)


@click.command(help=__doc__)
@click.option("--events", required=True)
@click.option("--layout")
@click.option("--days", default=1, show_default=True, type=click.IntRange(1), help="Days tested, each in turn.")
@click.option("--skip", default=0, show_default=True, type=click.IntRange(0), help="Days left out at the end.")
def main(days: int, skip: int, **flags: str | None) -> None:
    """Clean, learn, count, ask, print."""
    begun = time.monotonic()
    with PeakMemory() as memory, TemporaryDirectory() as scratch:
        try:
            settings = load_settings(**flags)
            spark = create_session(settings, "typed pairs")
            found = measure(spark, settings, Path(scratch), days, skip)
        except VitrineError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    line = {"days": days, "skip": skip, "served": ReciprocalRank.name, "results": found}
    line |= {"seconds": round(time.monotonic() - begun, 1), "peak_mb": round(memory.peak / 2**20)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
