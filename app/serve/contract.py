"""The contract of candidate generators.

A generator is trained from tables (`fit`), saved to and loaded from its folder of the bundle, and
answers, for a batch of users or sessions given as arrays, products with scores (`candidates`).
When it answers it knows neither Spark nor where the batch comes from: training, stream,
benchmarks and tests call the same code.

When it answers, products are given by their position in the bundle's catalogue (sorted by product
id) and users by their position in its user table (sorted by user id). -1 stands for "unknown" or "no product".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from app.core.settings import Settings
from app.serve.catalogue import Catalogue

NONE = -1


@dataclass(frozen=True)
class Batch:
    """Who wants products: n users, each with what was seen of them lately.

    `users` (n,): position in the user table, -1 if unknown.
    `segments` (n,): segment id, -1 if unknown.
    `offsets` (n + 1,), `items` (m,), `weights` (m,): the products that user i showed interest in,
    oldest first, are `items[offsets[i]:offsets[i + 1]]`, with implicit ratings as weights.
    `fresh` (n,): whether some of them were seen after the model was trained.
    """

    users: NDArray[np.int32]
    segments: NDArray[np.int32]
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    fresh: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.users)

    def rows(self) -> NDArray[np.int64]:
        """The user of each item: (m,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def slice(self, start: int, stop: int) -> "Batch":
        """Users start … stop - 1 of this batch."""
        first, last = self.offsets[start], self.offsets[stop]
        return Batch(
            self.users[start:stop],
            self.segments[start:stop],
            self.offsets[start : stop + 1] - first,
            self.items[first:last],
            self.weights[first:last],
            self.fresh[start:stop],
        )

    def age(self) -> NDArray[np.int64]:
        """How many items of the same user came after each item: 0 for the latest, (m,)."""
        return np.repeat(self.offsets[1:], np.diff(self.offsets)) - 1 - np.arange(len(self.items))


@dataclass(frozen=True)
class Candidates:
    """Products with scores, best first: `items` (n, k) int32, -1 where there are no more;
    `scores` (n, k) float32, 0 there. No product stands twice in a row."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, rows: int, k: int) -> "Candidates":
        return cls(np.full((rows, k), NONE, np.int32), np.zeros((rows, k), np.float32))


@dataclass(frozen=True)
class Tables:
    """What generators are trained from.

    `interactions`: folder of Parquet: user_id, product_id, rating (0 < r <= 10).
    `session_items`: user_id, session_id, product_ids (array, distinct, oldest first, bounded),
    ratings (array of float, same length).
    `popularity`: user_id, product_id, decayed (double).
    `user_segments`: user_id, segment_id.
    `catalogue`: product ids and attributes; `user_ids` (u,): known users, sorted.
    `folder`: scratch space on a disk that driver and executors share.
    """

    spark: SparkSession
    interactions: Path
    session_items: DataFrame
    popularity: DataFrame
    user_segments: DataFrame
    catalogue: Catalogue
    user_ids: NDArray[np.int64]
    folder: Path


class Generator(Protocol):
    """A candidate generator. A new one is one file, and one line in `app.serve.generators.GENERATORS`."""

    name: ClassVar[str]

    @classmethod
    def fit(cls, tables: Tables, settings: Settings) -> Self:
        """Train."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        """Open what `save` wrote; large arrays are memory-mapped."""
        ...

    def candidates(self, batch: Batch, k: int) -> Candidates:
        """Up to k products for each user of the batch."""
        ...


def top_per_row(
    rows: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], n: int, k: int
) -> Candidates:
    """Add up scores of equal (row, item) and keep the k best items of each row.

    Parameters
    ----------
    rows, items, scores
        (m,) each, in any order; scores are not negative.
    n
        Number of rows.
    k
        Items kept. Ties go to the smaller item, so that the result does not depend on the order.
    """
    if len(rows) == 0:
        return Candidates.empty(n, k)
    key = rows.astype(np.int64) << 32 | items.astype(np.int64)
    order = np.argsort(key)
    key = key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    total = np.add.reduceat(scores[order].astype(np.float64), first).astype(np.float32)
    row, item = key[first] >> 32, key[first] & _LOW
    # One integer an entry: the score's bits, which sort as it does, then the smaller item. Sorting
    # these in a padded matrix is four times faster than sorting by three keys.
    packed = total.view(np.int32).astype(np.int64) << 32 | (_LARGEST - item)
    starts = np.searchsorted(row, np.arange(n + 1))
    matrix = np.full((n, max(int(np.diff(starts).max()), k)), NONE, np.int64)
    matrix[row, np.arange(len(row)) - starts[row]] = packed
    if matrix.shape[1] > k:
        matrix = np.partition(matrix, matrix.shape[1] - k, axis=1)[:, -k:]
    matrix = np.sort(matrix, axis=1)[:, ::-1]
    there = matrix != NONE
    best = np.where(there, _LARGEST - (matrix & _LOW), NONE).astype(np.int32)
    return Candidates(best, (np.where(there, matrix, 0) >> 32).astype(np.int32).view(np.float32))


_LOW, _LARGEST = 0xFFFFFFFF, 0x7FFFFFFF
