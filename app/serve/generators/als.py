"""Implicit ALS: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008).

Stored factors answer for a known user of whom nothing new was seen, folding-in (one least-squares step) for
everyone else, and for users who were merged since.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.topk import topk
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import ThreadpoolController

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.ragged import NONE
from app.serve.visits import Touches, Visits

BLOCK = 1_024  #: products looked at first: what can be known after them, and still fits a core's cache
GROWTH = 4  #: each block after it may be so many times as large, if the best can lie so far


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
        fold_in = np.flatnonzero((visits.touched.shape.lengths > 0) & ~learned)
        asked = np.concatenate([known, fold_in])
        with _libraries().limit(limits=1, user_api="blas"):
            vectors = [self.user_factors[visits.users[known]]]
            if len(fold_in):
                vectors.append(self._folded_in(visits.touched.take(fold_in)))
            if len(asked):
                result.items[asked], result.scores[asked] = self._best(np.concatenate(vectors), k)
        result.items[result.scores <= 0] = NONE  # nothing in common with what was seen
        result.scores[result.items == NONE] = 0
        return result

    def _folded_in(self, touched: Touches) -> NDArray[np.float32]:
        """Vectors (n, f) of n visits by what they touched alone."""
        counted = touched.keep(touched.weights != 0)  # what was only removed from the cart counts as not seen
        seen = csr_matrix(
            (counted.weights * np.float32(self.alpha), self._places[counted.products], counted.shape.offsets),
            shape=(len(counted), len(self.item_factors)),
        )
        seen.sort_indices()  # else the same products, touched in another order, would differ in the last bits
        return self._model.recalculate_user(np.arange(len(counted)), seen)

    def _best(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The k products (n, k) that score best with vectors (n, f), and their scores, 0 where there are no more."""
        n, products = len(vectors), len(self.item_factors)
        reach = np.linalg.norm(vectors, axis=1)
        items, scores = np.full((n, k), NONE, np.int32), np.zeros((n, k), np.float32)
        undecided, start, size = np.arange(n), 0, BLOCK
        far = products  # no better product comes after
        while len(undecided) and start < far:
            stop = min(start + size, far)
            places, found = topk(self.item_factors[start:stop], vectors[undecided], min(k, stop - start), num_threads=1)
            both = np.hstack([scores[undecided], found])
            of_both = np.hstack([items[undecided], self.items[start + places]])
            order = np.argsort(-both, axis=1, kind="stable")[:, :k]
            items[undecided] = np.take_along_axis(of_both, order, axis=1)
            scores[undecided] = np.take_along_axis(both, order, axis=1)
            start, size = stop, GROWTH * size
            if start < products:
                undecided = undecided[reach[undecided] * self.lengths[start] > scores[undecided, -1]]
                least = np.min(scores[undecided, -1] / reach[undecided], initial=self.lengths[0])
                far = products - int(np.searchsorted(self._shortest_first, least))
        return items, scores

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product whose factors, times its weight, agree most with the item's."""
        shape, entries = visits.touched.shape.take(rows)
        seen = visits.touched.products[entries]
        of_seen, of_items = (self.item_factors[self._places[found]] for found in (seen, items[shape.rows()]))
        return shape.strongest(seen, np.einsum("mf,mf->m", of_seen, of_items) * visits.touched.weights[entries])

    def rate(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float64]:
        return np.einsum("mf,mf->m", self.user_factors[users], self.item_factors[self._places[items]])


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS of this process; once, since looking for it takes as long as an answer."""
    return ThreadpoolController()
