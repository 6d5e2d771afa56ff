"""Implicit ALS: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008).

Stored factors answer for a known user of whom nothing new was seen, folding-in (one least-squares step) for
everyone else, and for users who were merged since.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.item_rows import ItemRows, those
from app.serve.ragged import NONE
from app.serve.visits import Visits


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
        users, factors = (mapped(folder / f"{side}_factors.npy") for side in ("user", "item"))
        items, lengths = (mapped(folder / f"{name}.npy") for name in ("items", "lengths"))
        return cls(users, factors, items, lengths, float(regularization), float(alpha))

    @cached_property
    def _gram(self) -> NDArray[np.float64]:
        """The products of all items' factors, regularized: (f, f)."""
        with threadpool_limits(1, "blas"):  # requests and partitions already keep all cores busy
            gram = (self.item_factors.T @ self.item_factors).astype(np.float64)
        return gram + self.regularization * np.eye(len(gram))

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """The place in `item_factors` of each position (p,)."""
        places = np.empty(len(self.items), np.int64)
        places[self.items] = np.arange(len(self.items))
        return places

    @cached_property
    def _no_rows(self) -> ItemRows:
        return ItemRows.empty(len(self.items), len(self.items))

    def candidates(self, visits: Visits, k: int) -> Candidates:
        from app.serve import loops

        learned = np.where(visits.fresh | visits.joint, NONE, visits.users).astype(np.int32)
        # What was only removed from the cart counts as not seen; vectors of 0 find nothing.
        counted = visits.counted
        vectors = loops.user_vectors(
            learned, self.user_factors, counted.shape.offsets, self._places[counted.products],
            counted.weights * np.float32(self.alpha), self.item_factors, self._gram,
        )  # fmt: skip
        return Candidates(*loops.best_products(vectors, self.item_factors, self.lengths, self.items, k))

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product whose factors, times its weight, agree most with the item's."""
        touched = visits.touched
        seen, wanted = self._places[touched.products], self._places[items]
        factors = (self.item_factors, self.item_factors)
        entries = self._no_rows.strongest(touched.shape, seen, touched.weights, rows, wanted, factors)
        return those(entries, touched.products)

    def rate(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float64]:
        return np.einsum("mf,mf->m", self.user_factors[users], self.item_factors[self._places[items]])
