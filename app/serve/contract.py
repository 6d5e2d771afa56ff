"""The contract of candidate generators, as they serve.

A generator is learned in `app.learn`, saved to and loaded from its folder of the bundle, and gives, for a batch of
visits, products with scores. It knows neither Spark nor where the visits come from: training, stream,
benchmarks and API call the same code.

Products are given by their position in the bundle's catalogue (sorted by product id), users by their position in its
user table (sorted by user id); `NONE` stands for "unknown" and "no product".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.ragged import NONE, first_of_each, pair_keys, unpack_keys
from app.serve.visits import Visits


@dataclass(frozen=True)
class Candidates:
    """Products with scores, best first: `items` (n, k) int32, `NONE` where there are no more;
    `scores` (n, k) float32, 0 there. No product is twice in a row."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, rows: int, k: int) -> "Candidates":
        return cls(np.full((rows, k), NONE, np.int32), np.zeros((rows, k), np.float32))


class Generator(Protocol):
    """What proposes products; see docs/how-to-add.md."""

    name: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        """Open what `save` wrote; large arrays are memory-mapped."""
        ...

    def candidates(self, visits: Visits, k: int) -> Candidates:
        """Up to k products for each visit."""
        ...

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product that contributes most to each item (m,) proposed to a visit (m,); `NONE` if none does."""
        ...


@runtime_checkable
class Baseline(Protocol):
    """A generator that has a list for everyone, which all others are measured against."""

    def everyone(self, rows: int, k: int) -> Candidates:
        """The same k products for all."""
        ...


@runtime_checkable
class Rater(Protocol):
    """A generator that predicts the rating of a user and a product."""

    def rate(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float64]:
        """Predicted ratings (m,) of known users and products (m,)."""
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
    keys = pair_keys(rows, items)
    order = np.argsort(keys)
    keys = keys[order]
    first = first_of_each(keys)
    total = np.add.reduceat(scores[order].astype(np.float64), first).astype(np.float32)
    return best_per_row(*unpack_keys(keys[first]), total, n, k)


def best_per_row(
    rows: NDArray[np.int64], items: NDArray[np.int64], scores: NDArray[np.float32], n: int, k: int
) -> Candidates:
    """The k best items of each row.

    Parameters
    ----------
    rows, items, scores
        (m,) each, sorted by row, each (row, item) once; scores are not negative.
    n, k
        As in `top_per_row`.
    """
    matrix = np.sort(_highest(rows, _packed(items, scores), n, k), axis=1)[:, ::-1]
    there = matrix >= 0
    best = np.where(there, _LARGEST - (matrix & _LOW), NONE).astype(np.int32)
    return Candidates(best, (np.where(there, matrix, 0) >> 32).astype(np.int32).view(np.float32))


def _packed(items: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """One integer an entry: the score's bits, which sort as it does, then the smaller item."""
    return np.ascontiguousarray(scores).view(np.int32).astype(np.int64) << 32 | (_LARGEST - items)


def _highest(rows: NDArray[np.int64], packed: NDArray[np.int64], n: int, k: int) -> NDArray[np.int64]:
    """The k highest of each row (n, k), in any order; what is below 0 where there are no more.

    Sorting in a padded matrix is four times faster than sorting by row and value.
    """
    lengths = np.bincount(rows, minlength=n)
    width = max(int(lengths.max(initial=0)), k)
    matrix = np.empty((n, width), np.int64)
    matrix[:] = np.arange(-width, 0)  # none like the other: among many equal values partitioning is ten times slower
    matrix[np.arange(width) < lengths[:, None]] = packed
    return matrix if width == k else np.partition(matrix, width - k, axis=1)[:, width - k :]


_LOW, _LARGEST = 0xFFFFFFFF, 0x7FFFFFFF
