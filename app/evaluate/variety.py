"""How new and how various the products of lists are, whatever is right about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.serve.catalogue import Catalogue
from app.serve.ragged import NONE


def self_information(catalogue: Catalogue) -> NDArray[np.float64]:
    """Bits (p,) that each product tells: -log2 of its share of all popularity.

    What nobody has touched counts as the least popular that somebody has.
    """
    popularity = catalogue.table["popularity"].to_numpy()
    touched = popularity[popularity > 0]
    return -np.log2(np.maximum(popularity, touched.min()) / popularity.sum()) if len(touched) else 0 * popularity


def novelty(items: NDArray[np.int32], information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean self-information (n,) of lists (n, k) of positions; `NONE` counts neither way, an empty list has none.

    Vargas & Castells, "Rank and relevance in novelty and diversity metrics for recommender systems" (2011).
    """
    there = items != NONE
    return _shares(np.where(there, information[items], 0.0).sum(axis=1), there.sum(axis=1))


def diversity(items: NDArray[np.int32], groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share (n,) of the pairs in lists (n, k) of positions whose products are of different groups (p,).

    Ziegler et al., "Improving recommendation lists through topic diversification" (2005). A list with fewer than two
    products has none.
    """
    there = items != NONE
    group = groups[items]
    both = there[:, :, None] & there[:, None, :]
    both &= ~np.eye(items.shape[1], dtype=np.bool_)
    other = both & (group[:, :, None] != group[:, None, :])
    return _shares(other.sum(axis=(1, 2)), both.sum(axis=(1, 2)))


def _shares(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    """One by the other, NaN where there is no whole."""
    return np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)


def _sum_and_count(values: NDArray[np.float64]) -> list[float]:
    known = values[~np.isnan(values)]
    return [float(known.sum()), float(len(known))]


def category_groups(catalogue: Catalogue) -> NDArray[np.int64]:
    """The category (p,) of each product, whole path, as a number."""
    codes = pc.dictionary_encode(catalogue.table["category_code"].cast(pa.string()), null_encoding="encode")
    return np.asarray(codes.combine_chunks().indices.to_numpy(zero_copy_only=False), np.int64)


@dataclass(frozen=True)
class Variety:
    """What a catalogue says of the novelty and diversity of lists, worked out once for all models."""

    catalogue: Catalogue
    information: NDArray[np.float64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Variety":
        return cls(catalogue, self_information(catalogue), category_groups(catalogue))

    def top_10(self, lists: NDArray[np.int64]) -> dict[str, Any]:
        items = self.catalogue.positions(lists[:, :10])
        return {
            "products": np.unique(lists[:, :10][items != NONE]).tolist(),
            "novelty": _sum_and_count(novelty(items, self.information)),
            # Where no two products are known to differ, nothing is known of diversity.
            "diversity": _sum_and_count(diversity(items, self.groups)) if self.groups.any() else [0.0, 0.0],
        }
