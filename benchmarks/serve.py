"""How fast a bundle opens and answers, on one core: `python benchmarks/serve.py [--bundle FOLDER]`.

Without a bundle, one is made of random arrays of the size given: synthetic, so that its lists mean nothing; only the
times do. Prints a table, and closes with one JSON line.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from app.core.settings import Settings
from app.learn.ranker import EXAMPLE_SCHEMA, fit_lambdamart
from app.serve.catalogue import RECENT, Catalogue
from app.serve.contract import Generator
from app.serve.generators import Content, CoVisitation, ImplicitALS, ItemGraph, Popularity, SessionWalk
from app.serve.ragged import NONE, Ragged
from app.serve.rankers import RANKERS, LambdaMART, ReciprocalRank
from app.serve.rankers.features import Attributes, features
from app.serve.rankers.lambdamart import DEPTH
from app.serve.recommender import Parameters, Recommender
from app.serve.sparse import canonical_rows
from app.serve.users import UserTable
from app.serve.visits import Touches, Visitors, Visits

FACTORS, NEIGHBOURS, CATEGORIES, SEGMENTS, HISTORY, SESSION = 50, 50, 12, 5, 20, 6
SPREAD = 1.3  #: of the logarithm of the lengths of products' factors, as in a bundle trained on a synthetic shop
WALK, GRAPH, LOW_PASS = 100, 300, 896  #: products of a row of the session walk and the item graph, and its factors
SINGLE_VISITS, BATCHES = 2_000, 20
FRESH = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from app.serve.recommender import Recommender
from app.serve.visits import Visitors
recommender = Recommender.load(Path(sys.argv[1]))
answer = recommender.recommend(Visitors.of([int(recommender.users.ids[0])], time.time()), 10)
assert answer.lists.items.shape == (1, 10) and "pyspark" not in sys.modules
print(time.perf_counter() - start)
"""


ranker_option = click.option(
    "--ranker",
    default=ReciprocalRank.name,
    show_default=True,
    type=click.Choice([kind.name for kind in RANKERS]),
    help="That of the synthetic bundle.",
)


@click.command()
@click.option("--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="models/<version>.")
@click.option("--products", default=50_000, show_default=True, help="Products of the synthetic bundle.")
@click.option("--users", default=200_000, show_default=True, help="Users of the synthetic bundle.")
@click.option("--generators", default=Settings().generators, show_default=True, help="Those of the synthetic bundle.")
@ranker_option
def main(bundle: Path | None, products: int, users: int, generators: str, ranker: str) -> None:
    """Measure opening, single visits, and batches."""
    with tempfile.TemporaryDirectory() as scratch:
        if bundle is None:
            bundle = Path(scratch)
            print(f"making a synthetic bundle of {products:,} products and {users:,} users", file=sys.stderr)
            made = synthetic(products, users, np.random.default_rng(1))
            kept = {name: made.generators[name] for name in generators.split(",")}
            ranked_by(replace(made, generators=kept), ranker).save(bundle)
        figures = measure(bundle)
    for name, value in figures.items():
        print(f"{name:<28}{value:>10,.2f}")
    print(json.dumps(figures))


def measure(bundle: Path) -> dict[str, float]:
    """Figures in the units of their names."""
    command = [sys.executable, "-c", FRESH, str(bundle)]
    fresh = [float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    recommender = Recommender.load(bundle)
    rng = np.random.default_rng(2)
    single = timed(SINGLE_VISITS, lambda: recommender.recommend(visitors(recommender, 1, rng), 10))
    few = timed(BATCHES, lambda: recommender.recommend(visitors(recommender, 64, rng), 10))
    many = timed(BATCHES, lambda: recommender.recommend(visitors(recommender, 1024, rng), 10))
    reasons = timed(BATCHES, lambda: recommender.recommend(visitors(recommender, 1024, rng), 10).because)
    return {
        "products": float(len(recommender.catalogue)),
        "open_and_first_visit_s": min(fresh),
        "one_visit_p50_ms": float(np.quantile(single, 0.5) * 1000),
        "one_visit_p99_ms": float(np.quantile(single, 0.99) * 1000),
        "64_visits_p50_ms": float(np.quantile(few, 0.5) * 1000),
        "visits_a_second": 1024 / float(np.quantile(many, 0.5)),
        "with_reasons_a_second": 1024 / float(np.quantile(reasons, 0.5)),
        **ranking(recommender, rng),
    } | {
        f"{name}_{figure}": value
        for name, generator in recommender.generators.items()
        for figure, value in alone(recommender, generator, rng).items()
    }


def ranking(recommender: Recommender, rng: np.random.Generator) -> dict[str, float]:
    """Figures of the ranker, without what its pool takes."""
    one, many = (recommender.recommend(visitors(recommender, n, rng), 10) for n in (1, 1024))
    single, batch = (
        timed(times, partial(recommender.ranker.rank, asked.pool, asked.visits, 10))
        for times, asked in ((SINGLE_VISITS // 4, one), (3, many))
    )
    return {
        "ranker_p50_ms": float(np.quantile(single, 0.5) * 1000),
        "ranker_p99_ms": float(np.quantile(single, 0.99) * 1000),
        "ranker_visits_a_second": 1024 / float(np.quantile(batch, 0.5)),
    }


def alone(recommender: Recommender, generator: Generator, rng: np.random.Generator) -> dict[str, float]:
    """Figures of one generator, without the visits' making, the pool and the ranker."""

    def ask(visits: Visits) -> object:
        return generator.candidates(visits, recommender.parameters.candidates)

    one, many = (recommender.visits(visitors(recommender, n, rng)) for n in (SINGLE_VISITS // 4, 1024))
    each = iter([one.slice(row, row + 1) for row in range(len(one))] * 2)
    single = timed(SINGLE_VISITS // 4, lambda: ask(next(each)))
    batch = timed(3, lambda: ask(many))
    return {
        "p50_ms": float(np.quantile(single, 0.5) * 1000),
        "p99_ms": float(np.quantile(single, 0.99) * 1000),
        "visits_a_second": 1024 / float(np.quantile(batch, 0.5)),
    }


def timed(times: int, work: Callable[[], object]) -> list[float]:
    """Seconds of each of so many calls, after a few to warm up."""
    for _ in range(max(3, times // 20)):
        work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def visitors(recommender: Recommender, n: int, rng: np.random.Generator) -> Visitors:
    """Half of them known users, with sessions of a few products."""
    known = rng.choice(recommender.users.ids, n)
    ids = np.where(rng.random(n) < 0.5, known, -2 - np.arange(n))
    session = touches(rng.integers(0, SESSION, n), recommender.catalogue.product_ids, rng)
    return Visitors.of(ids, 1_600_000_000.0, session)


def touches(lengths: np.ndarray, products: np.ndarray, rng: np.random.Generator) -> Touches:
    """Random products, viewed."""
    total = int(lengths.sum())
    return Touches(
        Ragged.of_lengths(lengths),
        rng.choice(products, total),
        np.ones(total, np.int8),
        rng.choice(np.array([1, 3, 5], np.float32), total),
        np.sort(rng.random(total)),
    )


def synthetic(products: int, users: int, rng: np.random.Generator) -> Recommender:
    """A recommender of random arrays."""
    names = [f"c{number}" for number in range(CATEGORIES)]
    category = rng.choice(names, products)
    catalogue = Catalogue.of(
        pa.table(
            {
                "product_id": np.arange(products) + 1_000_000,
                "category_code": category,
                "category": category,
                "brand": rng.choice(names, products),
                "avg_price": rng.random(products) * 100,
                "popularity": rng.random(products),
            }
            | {name: rng.integers(0, 100, products) for name in RECENT}
        )
    )
    history = touches(rng.integers(1, HISTORY, users), np.arange(products), rng)
    table = UserTable(
        np.arange(users, dtype=np.int64) + 5_000_000,
        rng.integers(0, SEGMENTS, users).astype(np.int32),
        history,
        Ragged.empty(users),
        np.empty(0, np.int32),
        np.empty(0, np.int64),
    )
    user_factors, item_factors = (rng.normal(size=(n, FACTORS)).astype(np.float32) for n in (users, products))
    item_factors *= rng.lognormal(sigma=SPREAD, size=(products, 1)).astype(np.float32)
    neighbours = rng.integers(NONE, products, (products, NEIGHBOURS)).astype(np.int32)
    similarities = -np.sort(-rng.random((products, NEIGHBOURS)).astype(np.float32), axis=1)
    lists = rng.integers(0, products, (SEGMENTS + 1, CATEGORIES + 1, NEIGHBOURS)).astype(np.int32)
    popularity = Popularity(lists, np.tile(similarities[:1], (*lists.shape[:2], 1)), catalogue.category)
    inward, outward = (rng.normal(size=(products, LOW_PASS)).astype(np.float32) for _ in range(2))
    generators = (
        ImplicitALS.of(user_factors, item_factors, 0.1, 1.0),
        CoVisitation(neighbours, similarities),
        popularity,
        SessionWalk(rows(products, WALK, rng), decay=2.0),
        ItemGraph(rows(products, GRAPH, rng), inward, outward),
        Content(rows(products, 2 * NEIGHBOURS, rng), decay=2.0),
    )
    return Recommender(
        catalogue,
        table,
        {generator.name: generator for generator in generators},
        ReciprocalRank(Settings().blend_weights, Settings().blend_offset),
        Parameters(
            candidates=50, bought_days=30, session_max_events=100, session_max_products=20, session_idle_minutes=30
        ),
    )


def ranked_by(recommender: Recommender, ranker: str) -> Recommender:
    """The same with the ranker of a name."""
    if ranker != LambdaMART.name:
        return recommender
    return replace(recommender, ranker=trees(recommender, np.random.default_rng(3)))


def trees(recommender: Recommender, rng: np.random.Generator) -> LambdaMART:
    """A ranker as large as a learned one, from what is right by chance."""
    asked, generators = recommender.recommend(visitors(recommender, 1_000, rng), 10), tuple(recommender.generators)
    first = ReciprocalRank(Settings().blend_weights, Settings().blend_offset)
    pool, terms = first.cut(asked.pool, DEPTH)
    known = features(pool, terms, asked.visits, Attributes.of(recommender.catalogue))
    examples = {
        "query": pool.rows,
        "asked_at": np.zeros(len(pool), np.int64),
        "product_id": pool.items,
        "grade": rng.integers(0, 2, len(pool)),
        "features": list(known),
    }
    table = pa.table(examples, schema=EXAMPLE_SCHEMA)
    return fit_lambdamart(table, first, generators, recommender.catalogue, seed=1)


def rows(products: int, width: int, rng: np.random.Generator) -> csr_matrix:
    """A sparse matrix (products, products) with up to `width` random values in each row."""
    items = rng.integers(0, products, products * width).astype(np.int32)
    values = rng.random(products * width).astype(np.float32)
    return canonical_rows(csr_matrix((values, items, np.arange(0, products * width + 1, width)), (products, products)))


if __name__ == "__main__":
    main()
