"""Implicit ALS: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008).

Stored factors answer for a known user of whom nothing new was seen, folding-in (one least-squares step) for
everyone else.
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
from app.serve.contract import Candidates
from app.serve.ragged import NONE
from app.serve.visits import Visits


class ImplicitALS:
    """Latent factors of users and products.

    `user_factors` (u, f), `item_factors` (p, f) float32.
    """

    name: ClassVar[str] = "als"

    def __init__(
        self,
        user_factors: NDArray[np.float32],
        item_factors: NDArray[np.float32],
        regularization: float,
        alpha: float,
    ):
        self.user_factors, self.item_factors = user_factors, item_factors
        self.regularization, self.alpha = regularization, alpha

    def save(self, folder: Path) -> None:
        np.save(folder / "user_factors.npy", self.user_factors)
        np.save(folder / "item_factors.npy", self.item_factors)
        np.save(folder / "parameters.npy", np.array([self.regularization, self.alpha]))

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        regularization, alpha = np.load(folder / "parameters.npy")
        # Copy-on-write: mapped and shared like read-only, but the library asks for writable arrays.
        users, items = (mapped(folder / f"{side}_factors.npy", "c") for side in ("user", "item"))
        return cls(users, items, float(regularization), float(alpha))

    @cached_property
    def _model(self) -> AlternatingLeastSquares:
        with _libraries().limit(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.item_factors.shape[1],
                regularization=self.regularization,
                alpha=self.alpha,
                num_threads=1,  # Spark's tasks are the parallelism
            )
        model.user_factors, model.item_factors = self.user_factors, self.item_factors
        return model

    def candidates(self, visits: Visits, k: int) -> Candidates:
        result = Candidates.empty(len(visits), k)
        touched = visits.touched
        learned = (visits.users != NONE) & ~visits.fresh
        known = np.flatnonzero(learned)
        fold_in = np.flatnonzero((touched.shape.lengths > 0) & ~learned)
        k = min(k, len(self.item_factors))
        with _libraries().limit(limits=1, user_api="blas"):
            if len(known):
                items, scores = self._model.recommend(visits.users[known], None, N=k, filter_already_liked_items=False)
                result.items[known, :k], result.scores[known, :k] = items, scores
            if len(fold_in):
                seen = csr_matrix(
                    (touched.weights, touched.products, touched.shape.offsets),
                    shape=(len(visits), len(self.item_factors)),
                )[fold_in]
                seen.sum_duplicates()
                seen.eliminate_zeros()  # what was only removed from the cart counts as not seen
                items, scores = self._model.recommend(
                    np.arange(len(fold_in)), seen, N=k, filter_already_liked_items=False, recalculate_user=True
                )
                result.items[fold_in, :k], result.scores[fold_in, :k] = items, scores
        result.items[result.scores <= 0] = NONE  # nothing in common with what was seen
        result.scores[result.items == NONE] = 0
        return result

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product whose factors, times its weight, agree most with the item's."""
        shape, entries = visits.touched.shape.take(rows)
        seen = visits.touched.products[entries]
        agreement = np.einsum("mf,mf->m", self.item_factors[seen], self.item_factors[items[shape.rows()]])
        return shape.strongest(seen, agreement * visits.touched.weights[entries])

    def rate(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float64]:
        return np.einsum("mf,mf->m", self.user_factors[users], self.item_factors[items])


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS of this process; once, since looking for it takes as long as an answer."""
    return ThreadpoolController()
