"""What a ranker learns from: proposals to queries whose answers are known, made where the queries lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.evaluate.metrics import GOLDEN_GAMMA, mixed
from app.evaluate.queries import StoredQueries
from app.evaluate.targets import ANY, BITS, Wanted
from app.events.vocabulary import CART, PURCHASE
from app.learn.ranker import EXAMPLE_SCHEMA
from app.serve.pool import Pool
from app.serve.ragged import Ragged
from app.serve.rankers import ReciprocalRank
from app.serve.rankers.features import Attributes, features
from app.serve.rankers.lambdamart import DEPTH
from app.serve.recommender import CHUNK, Recommender, opened
from app.serve.visits import Touches, Visitors, Visits

NEGATIVES = 40  #: learned from of each query, beside all its positives


def ranker_examples(queries: StoredQueries, candidate: Path, first: ReciprocalRank) -> pa.Table:
    """Proposals to learn from.

    Parameters
    ----------
    queries
        Of which the sample is asked.
    candidate
        Folder of a recommender that knew nothing of them.
    first
        The ranker whose best places are to be ordered anew.

    Returns
    -------
    pa.Table
        `EXAMPLE_SCHEMA`, by time, query and product.
    """
    return in_order(queries.ask(lambda asked: examples_of(opened(candidate), asked, first), EXAMPLE_SCHEMA))


def in_order(examples: pa.Table) -> pa.Table:
    """Examples in an order that does not depend on how queries were spread over workers."""
    order = [(name, "ascending") for name in ("asked_at", "query", "product_id")]
    return examples.sort_by(order).combine_chunks()


def examples_of(recommender: Recommender, queries: pa.Table, first: ReciprocalRank) -> pa.Table:
    """Of each query with a relevant product among its best `DEPTH`: all these, and `NEGATIVES` others."""
    attributes = Attributes.of(recommender.catalogue)
    starts = range(0, len(queries), CHUNK)
    tables = [_examples(recommender, queries.slice(at, CHUNK).combine_chunks(), first, attributes) for at in starts]
    return pa.concat_tables(tables) if tables else EXAMPLE_SCHEMA.empty_table()


def _examples(recommender: Recommender, queries: pa.Table, first: ReciprocalRank, attributes: Attributes) -> pa.Table:
    asked_at, query = queries["asked_at"].to_numpy(), queries["query"].to_numpy()
    visitors = Visitors.of(queries["user_id"].to_numpy(), asked_at.astype(np.float64), Touches.of_table(queries))
    answer = recommender.recommend(visitors, 1)
    answered = Answered(query, asked_at, Wanted.of(queries))
    return examples_from(answer.pool, answer.visits, answered, first, recommender.catalogue.product_ids, attributes)


@dataclass(frozen=True)
class Answered:
    """n queries whose answers are known: `query` (n,) their numbers, `asked_at` (n,) seconds since 1970, `wanted`."""

    query: NDArray[np.int64]
    asked_at: NDArray[np.int64]
    wanted: Wanted


def examples_from(
    pool: Pool,
    visits: Visits,
    answered: Answered,
    first: ReciprocalRank,
    product_ids: NDArray[np.int64],
    attributes: Attributes,
) -> pa.Table:
    """Those of the queries of which `pool` holds what was proposed to their `visits`; see `examples_of`."""
    pool, terms = first.cut(pool, DEPTH)
    rows, products, query = pool.rows, product_ids[pool.items], answered.query
    grade = grades(answered.wanted.bits(rows, products))
    kept = sample(Ragged.of_rows(rows, len(query)), grade > 0, query[rows], products)
    known = features(pool, terms, visits, attributes)[kept]
    columns = [
        query[rows[kept]],
        answered.asked_at[rows[kept]],
        products[kept],
        grade[kept],
        pa.ListArray.from_arrays(np.arange(len(kept) + 1) * known.shape[1], known.ravel()),
    ]
    return pa.table(columns, schema=EXAMPLE_SCHEMA)


def grades(bits: NDArray[np.int32]) -> NDArray[np.int8]:
    """How much a product with these bits (m,) of targets is worth: 3 bought, 2 put into the cart, 1 viewed, else 0."""
    ways = [bits & BITS[PURCHASE] > 0, bits & BITS[CART] > 0, bits & ANY > 0]
    return np.select(ways, [3, 2, 1], 0).astype(np.int8)


def sample(
    shape: Ragged, positive: NDArray[np.bool_], query: NDArray[np.int64], products: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Entries to learn from, ascending: the positives, and the `NEGATIVES` with the smallest hashes beside them.

    Parameters
    ----------
    shape
        How the m proposals belong to queries; those of a query without a positive are left out.
    positive, query, products
        Of each proposal (m,): whether it is relevant, and by what its hash is made, the same in every run.
    """
    rows = shape.rows()
    has_one = np.bincount(rows[positive], minlength=len(shape)) > 0
    with np.errstate(over="ignore"):
        numbers = mixed(query.astype(np.uint64)) + products.astype(np.uint64) * GOLDEN_GAMMA
    order = np.lexsort((mixed(numbers), positive, rows))  # each query's negatives first
    place = np.empty(len(rows), np.int64)
    place[order] = shape.places()
    return np.flatnonzero(has_one[rows] & (positive | (place < NEGATIVES)))
