"""Implicit ALS: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008).

Stored factors answer for a known user of whom nothing new was seen, folding-in (one least-squares step) for
everyone else, and for users who were merged since.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import ThreadpoolController

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates, best_per_row
from app.serve.ragged import NONE, Ragged
from app.serve.visits import Touches, Visits

BLOCK = 4_096  #: products looked at first; each block after it is twice as large, as long as there is room
LEAST = np.finfo(np.float32).tiny  #: a score above 0
ROOM = 1 << 21  #: scores worked out at a time: they stay near the processor


class ImplicitALS:
    """Latent factors of users and products.

    `user_factors` (u, f) float32. Of the products, the longest factors first: `item_factors` (p, f) float32, `items`
    (p,) int32, the position of each, and `lengths` (p,) float32. A score is at most the product of two lengths, so
    that for most visits a look at the longest is enough to know the best of all (Teflioudi, Gemulla, Mykytiuk,
    "LEMP: Fast Retrieval of Large Entries in a Matrix Product", SIGMOD 2015).
    """

    name: ClassVar[str] = "als"

    def __init__(
        self,
        user_factors: NDArray[np.float32],
        item_factors: NDArray[np.float32],
        items: NDArray[np.int32],
        lengths: NDArray[np.float32],
        regularization: float,
        alpha: float,
    ):
        self.user_factors, self.item_factors, self.items, self.lengths = user_factors, item_factors, items, lengths
        self.regularization, self.alpha = regularization, alpha

    @classmethod
    def of(
        cls,
        user_factors: NDArray[np.float32],
        item_factors: NDArray[np.float32],
        regularization: float,
        alpha: float,
    ) -> Self:
        """From factors (u, f) and (p, f) by position."""
        lengths = np.linalg.norm(item_factors, axis=1).astype(np.float32)
        items = np.argsort(-lengths, kind="stable").astype(np.int32)
        return cls(user_factors, item_factors[items], items, lengths[items], regularization, alpha)

    def save(self, folder: Path) -> None:
        for name in ("user_factors", "item_factors", "items", "lengths"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        np.save(folder / "parameters.npy", np.array([self.regularization, self.alpha]))

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        regularization, alpha = np.load(folder / "parameters.npy")
        # Copy-on-write: mapped and shared like read-only, but the library asks for writable arrays.
        users, factors = (mapped(folder / f"{side}_factors.npy", "c") for side in ("user", "item"))
        items, lengths = (mapped(folder / f"{name}.npy") for name in ("items", "lengths"))
        return cls(users, factors, items, lengths, float(regularization), float(alpha))

    @cached_property
    def _model(self) -> AlternatingLeastSquares:
        with _libraries().limit(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.item_factors.shape[1],
                regularization=self.regularization,
                alpha=1.0,  # it would multiply a matrix by another; `candidates` multiplies the weights
                num_threads=1,  # Spark's tasks are the parallelism
            )
        model.user_factors, model.item_factors = self.user_factors, self.item_factors
        return model

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """The place in `item_factors` of each position (p,)."""
        places = np.empty_like(self.items)
        places[self.items] = np.arange(len(self.items), dtype=np.int32)
        return places

    @cached_property
    def _shortest_first(self) -> NDArray[np.float32]:
        """The lengths (p,) in ascending order."""
        return np.ascontiguousarray(self.lengths[::-1])

    def candidates(self, visits: Visits, k: int) -> Candidates:
        result = Candidates.empty(len(visits), k)
        learned = (visits.users != NONE) & ~visits.fresh & ~visits.joint
        known = np.flatnonzero(learned)
        # What was only removed from the cart counts as not seen.
        fold_in = np.flatnonzero((visits.counted.shape.lengths > 0) & ~learned)
        asked = np.concatenate([known, fold_in])
        with _libraries().limit(limits=1, user_api="blas"):
            vectors = [self.user_factors[visits.users[known]]]
            if len(fold_in):
                vectors.append(self._folded_in(visits.counted.take(fold_in)))
            if len(asked):
                best = self._best(np.concatenate(vectors), k)
                result.items[asked], result.scores[asked] = best.items, best.scores
        return result

    def _folded_in(self, counted: Touches) -> NDArray[np.float32]:
        """Vectors (n, f) of n visits by what they touched alone."""
        seen = csr_matrix(
            (counted.weights * np.float32(self.alpha), self._places[counted.products], counted.shape.offsets),
            shape=(len(counted), len(self.item_factors)),
        )
        seen.sort_indices()  # else the same products, touched in another order, would differ in the last bits
        return self._model.recalculate_user(np.arange(len(counted)), seen)

    def _best(self, vectors: NDArray[np.float32], k: int) -> Candidates:
        """The k products that score best with vectors (n, f); none whose score is not above 0."""
        n, products = len(vectors), len(self.item_factors)
        reach, best = np.linalg.norm(vectors, axis=1), Candidates.empty(0, k)
        room = np.empty(max(ROOM, n * BLOCK), np.float32)
        undecided, start, size = np.arange(n), 0, BLOCK
        far = products  # no better product comes after
        while len(undecided) and start < far:
            block = self.item_factors[start : min(start + size, far)]
            found = np.matmul(vectors[undecided], block.T, out=_shaped(room, len(undecided), len(block)))
            floor = best.scores[undecided, -1] if start else _reached(found, k)
            hits = np.flatnonzero(found >= np.maximum(floor, LEAST)[:, None])
            rows, places = np.divmod(hits, len(block))
            items, scores = self.items[start + places].astype(np.int64), found.ravel()[hits]
            if start:
                better = _with(best, undecided, rows, items, scores)
                best.items[undecided], best.scores[undecided] = better.items, better.scores
            else:
                best = best_per_row(rows, items, scores, n, k)
            start += len(block)
            if start < products:
                undecided = undecided[reach[undecided] * self.lengths[start] > best.scores[undecided, -1]]
                size = max(BLOCK, min(2 * size, len(room) // max(len(undecided), 1)))
                least = np.min(best.scores[undecided, -1] / reach[undecided], initial=self.lengths[0])
                far = products - int(np.searchsorted(self._shortest_first, least))
        return best

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product whose factors, times its weight, agree most with the item's."""
        shape, entries = visits.touched.shape.take(rows)
        seen = visits.touched.products[entries]
        of_seen, of_items = (self.item_factors[self._places[found]] for found in (seen, items[shape.rows()]))
        return shape.strongest(seen, np.einsum("mf,mf->m", of_seen, of_items) * visits.touched.weights[entries])

    def rate(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float64]:
        return np.einsum("mf,mf->m", self.user_factors[users], self.item_factors[self._places[items]])


def _shaped(room: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """The beginning of an array as a matrix."""
    return room[: rows * columns].reshape(rows, columns)


def _reached(found: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A score for each row (n,) that at least k of its columns reach, or 0: the k-th best of the best of groups."""
    rows, groups = len(found), 2 * k
    each = found.shape[1] // groups
    if each == 0:
        return np.zeros(rows, np.float32)
    highest = found[:, : each * groups].reshape(rows, each, groups).max(axis=1)
    return np.partition(highest, groups - k, axis=1)[:, groups - k]


def _with(
    best: Candidates,
    undecided: NDArray[np.int64],
    rows: NDArray[np.int64],
    items: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> Candidates:
    """The best of some visits, once products (m,) are added to theirs; `rows`: of those visits, ascending."""
    before, n = best.items[undecided], len(undecided)
    row, place = np.nonzero(before != NONE)
    shape, entries = Ragged.of_rows(row, n).joined(Ragged.of_rows(rows, n))
    both = np.concatenate([before[row, place], items])[entries]
    of_both = np.concatenate([best.scores[undecided][row, place], scores])[entries]
    return best_per_row(shape.rows(), both, of_both, n, before.shape[1])


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS of this process; once, since looking for it takes as long as an answer."""
    return ThreadpoolController()
