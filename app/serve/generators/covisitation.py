"""Item-to-item co-visitation: products seen in the same sessions.

Similarity is the cosine of the products' sessions (Linden, Smith, York, "Amazon.com
Recommendations: Item-to-Item Collaborative Filtering", 2003), weighted by what was done with the
products, and shrunk so that one shared session proves little.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.arrays import mapped
from app.serve.catalogue import Catalogue
from app.serve.contract import Candidates
from app.serve.item_rows import ItemRows, those
from app.serve.visits import Touches, Visits

RECENCY = 0.8  #: a product counts so much less for each one touched after it
LATEST = 10  #: products looked at; those before them would count less than a ninth


class CoVisitation:
    """Nearest products of each product.

    `neighbours` (p, n) int32, `NONE` where there are no more; `similarities` (p, n) float32.
    """

    name: ClassVar[str] = "covisitation"

    def __init__(self, neighbours: NDArray[np.int32], similarities: NDArray[np.float32]):
        self.neighbours, self.similarities = neighbours, similarities

    def save(self, folder: Path) -> None:
        np.save(folder / "neighbours.npy", self.neighbours)
        np.save(folder / "similarities.npy", self.similarities)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        return cls(*(mapped(folder / f"{name}.npy") for name in ("neighbours", "similarities")))

    @cached_property
    def _listed(self) -> ItemRows:
        return ItemRows.of_table(self.neighbours, self.similarities, len(self.neighbours))

    def candidates(self, visits: Visits, k: int) -> Candidates:
        touched = visits.touched
        return self._listed.best_sums(touched.shape, touched.products, _weights(touched), k)

    def because(self, visits: Visits, rows: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """The touched product that gives the item most of its score."""
        touched = visits.touched
        entries = self._listed.strongest(touched.shape, touched.products, _weights(touched), rows, items)
        return those(entries, touched.products)


#: How much a product counts by those touched after it, the last entry for all older ones.
_BY_AGE = np.append(RECENCY ** np.arange(LATEST), 0.0)


def _weights(touched: Touches) -> NDArray[np.float32]:
    """What each touched product counts: nothing if it was only removed from the cart."""
    return (_BY_AGE[np.minimum(touched.shape.ages(), LATEST)] * np.log1p(touched.weights)).astype(np.float32)
