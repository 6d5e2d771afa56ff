"""What a learned ranker knows of a proposal: one function, for learning and for serving alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.events.vocabulary import UNKNOWN
from app.serve.catalogue import LATELY, RECENT, Catalogue
from app.serve.pool import Pool
from app.serve.ragged import NONE, Ragged, pair_keys
from app.serve.visits import Touches, Visits

#: Beside rank and score of each generator; see docs/method.md.
SHARED = (
    "proposed_by",
    "reciprocal_rank",
    "reciprocal_rank_share",
    "session_kind",
    "session_weight",
    "session_seconds",
    "session_age",
    "history_kind",
    "history_weight",
    "history_seconds",
    "history_age",
    "popularity",
    "popularity_day",
    "popularity_week",
    "conversion_day",
    "conversion_week",
    "price",
    "price_ratio",
    "same_category",
    "same_category_code",
    "same_brand",
    "session_length",
    "history_length",
    "known_user",
)

PRIOR = 20  #: users who are added to those of each product: few say little of who buys


def feature_names(generators: Sequence[str]) -> list[str]:
    """Names of the columns of `features`, for a pool of these generators."""
    return [f"rank_{name}" for name in generators] + [f"score_{name}" for name in generators] + list(SHARED)


@dataclass(frozen=True)
class Attributes:
    """What a catalogue says of its p products, as numbers.

    `popularity` (p,) float32: log(1 + popularity). `price` (p,) float32: its logarithm, NaN where it is not known.
    `category`, `category_code`, `brand` (p,) int32: equal for equal words, `NONE` where nothing is known.
    `popular_lately`, `bought_lately` (2, p) float32: log(1 + users who wanted it) in the last day and week, and the
    share of these that bought it, `PRIOR` of all users with the share of all products added.
    """

    popularity: NDArray[np.float32]
    popular_lately: NDArray[np.float32]
    bought_lately: NDArray[np.float32]
    price: NDArray[np.float32]
    category: NDArray[np.int32]
    category_code: NDArray[np.int32]
    brand: NDArray[np.int32]

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Attributes":
        """From a catalogue, in its order."""
        table = catalogue.table
        price = table["avg_price"].to_numpy(zero_copy_only=False)
        known = np.where(price > 0, price, np.nan)  # a price of 0 tells as little as none
        category, code, brand = (_numbers(table[name]) for name in ("category", "category_code", "brand"))
        popularity = np.log1p(table["popularity"].to_numpy()).astype(np.float32)
        lately = {name: table[name].to_numpy() for name in RECENT}
        users, buyers = (np.stack([lately[f"{time}_{who}"] for time in LATELY]) for who in ("users", "buyers"))
        share = buyers.sum(axis=1, keepdims=True) / np.maximum(users.sum(axis=1, keepdims=True), 1)
        return cls(
            popularity,
            np.log1p(users).astype(np.float32),
            ((buyers + PRIOR * share) / (users + PRIOR)).astype(np.float32),
            np.log(known).astype(np.float32),
            category,
            code,
            brand,
        )


def _numbers(words: pa.ChunkedArray) -> NDArray[np.int32]:
    known = pc.if_else(pc.equal(words, UNKNOWN), pa.scalar(None, words.type), words)
    indices = pc.dictionary_encode(known).combine_chunks().indices
    return pc.fill_null(indices, NONE).to_numpy(zero_copy_only=False).astype(np.int32)


def features(pool: Pool, terms: NDArray[np.float64], visits: Visits, attributes: Attributes) -> NDArray[np.float32]:
    """What is known of each proposal of a pool.

    Parameters
    ----------
    pool
        m proposals of g generators.
    terms
        What each generator adds to a proposal's reciprocal rank: (m, g).
    visits
        What the pool was proposed to.
    attributes
        Of the products.

    Returns
    -------
    ndarray
        (m, 2 g + `SHARED`) float32, columns as `feature_names`; NaN where something is not known.
    """
    rows, items = pool.rows, pool.items
    shape = Ragged.of_rows(rows, pool.visits)
    total = terms.sum(axis=1)
    with np.errstate(divide="ignore"):
        ranks = np.where(pool.ranks > 0, 1 / pool.ranks, 0)
    touched = visits.touched
    price = attributes.price[items]
    columns = [
        *ranks.T,
        *_share_of_best(pool.scores, shape, rows).T,
        (pool.ranks > 0).sum(axis=1),
        total,
        _share_of_best(total, shape, rows),
        *_touches_of(pool, visits.session, visits.now),
        *_touches_of(pool, visits.history, visits.now),
        attributes.popularity[items],
        *attributes.popular_lately[:, items],
        *attributes.bought_lately[:, items],
        price,
        price - _usual(attributes.price, touched)[rows],
        *(_alike(of, rows, items, touched) for of in (attributes.category, attributes.category_code, attributes.brand)),
        visits.session.shape.lengths[rows],
        visits.history.shape.lengths[rows],
        (visits.users != NONE)[rows],
    ]
    known = np.empty((2 * len(pool.generators) + len(SHARED), len(pool)), np.float32)
    for row, column in zip(known, columns, strict=True):
        row[:] = column
    return known.T  # a column lies in one piece, as it is made here and as trees are summed


def _share_of_best(values: NDArray, shape: Ragged, rows: NDArray[np.int64]) -> NDArray:
    """Values (m, …) divided by the largest of their visit; 0 where that is 0."""
    if len(values) == 0:
        return values
    there = shape.lengths > 0
    best = np.zeros((len(shape), *values.shape[1:]), values.dtype)
    best[there] = np.maximum.reduceat(values, shape.offsets[:-1][there])
    return values / np.where(best > 0, best, 1)[rows]


def _touches_of(pool: Pool, touches: Touches, now: NDArray[np.float64]) -> list[NDArray]:
    """Of each proposal that was touched: kind, weight, seconds since, and how many were touched after it: (m,) each."""
    rows = touches.shape.rows()
    keys = pair_keys(rows, touches.products)
    entry = np.searchsorted(pool.keys, keys)
    in_pool = np.zeros(len(keys), np.bool_)
    inside = entry < len(pool.keys)
    in_pool[inside] = pool.keys[entry[inside]] == keys[inside]
    values = (touches.kinds, touches.weights, now[rows] - touches.times, touches.shape.ages())
    columns = []
    for value in values:
        column = np.full(len(pool), np.nan)
        column[entry[in_pool]] = value[in_pool]
        columns.append(column)
    return columns


def _weights(touched: Touches) -> NDArray[np.float64]:
    """How much each touch (t,) counts beside the others of its visit: the later, the more."""
    return 1 / (1.0 + touched.shape.ages())


def _usual(price: NDArray[np.float32], touched: Touches) -> NDArray[np.float64]:
    """Mean logarithm of the prices that each visit looked at: (n,); NaN where none is known."""
    prices, rows, weights = price[touched.products], touched.shape.rows(), _weights(touched)
    known, n = ~np.isnan(prices), len(touched)
    count = np.bincount(rows[known], weights[known], n)
    total = np.bincount(rows[known], weights[known] * prices[known], n)
    return np.divide(total, count, out=np.full(n, np.nan), where=count > 0)


def _alike(
    of: NDArray[np.int32], rows: NDArray[np.int64], items: NDArray[np.int64], touched: Touches
) -> NDArray[np.float64]:
    """Share of what a visit touched that is of the same kind as each proposal (m,); 0 where the kind is not known."""
    touched_rows, weights = touched.shape.rows(), _weights(touched)
    kind = of[touched.products]
    known = kind != NONE
    if not known.any():
        return np.zeros(len(items))
    kinds, which = np.unique(pair_keys(touched_rows[known], kind[known]), return_inverse=True)
    sums = np.bincount(which, weights[known])
    asked = np.where(of[items] == NONE, NONE, pair_keys(rows, of[items]))
    place = np.minimum(np.searchsorted(kinds, asked), len(kinds) - 1)
    every = np.bincount(touched_rows, weights, len(touched))
    return np.where(kinds[place] == asked, sums[place], 0) / np.where(every > 0, every, 1)[rows]
