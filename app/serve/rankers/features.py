"""What a learned ranker knows of a proposal: one function, for learning and for serving alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.events.vocabulary import UNKNOWN
from app.serve.catalogue import LATELY, RECENT, Catalogue
from app.serve.pool import Pool
from app.serve.ragged import NONE, as_int64
from app.serve.visits import Visits

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

    @cached_property
    def numbers(self) -> NDArray[np.float32]:
        """Those that are features as they are: (p, 6), the price last."""
        return np.stack([self.popularity, *self.popular_lately, *self.bought_lately, self.price], axis=1)

    @cached_property
    def kinds(self) -> NDArray[np.int32]:
        """Category, category code and brand: (3, p)."""
        return np.stack([self.category, self.category_code, self.brand])

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
    from app.serve import pool_loops

    rows, items = pool.rows, pool.items
    proposals = pool_loops.begins(pool.keys, pool.visits)
    session, history, (offsets, products, *_) = visits.session.arrays, visits.history.arrays, visits.touched.arrays
    usual = pool_loops.usual(offsets, products, attributes.price)
    known = [
        pool_loops.of_generators(proposals, pool.ranks, pool.scores, terms),
        pool_loops.touches_of(*session, visits.now, pool.keys),
        pool_loops.touches_of(*history, visits.now, pool.keys),
        pool_loops.of_products(rows, items, attributes.numbers, usual),
        pool_loops.alike(offsets, products, proposals, items, attributes.kinds),
        pool_loops.of_visits(rows, session[0], history[0], as_int64(visits.users)),
    ]
    return np.concatenate(known).T  # a column lies in one piece, as it is made here and as trees are summed
