"""Novelty and diversity of lists, by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from app.evaluate.variety import Variety, category_groups, diversity, novelty, self_information
from app.serve.catalogue import Catalogue

#: Half of all popularity, twice a quarter, none.
POPULARITY = [8.0, 4.0, 4.0, 0.0]


def catalogue(popularity: list[float]) -> Catalogue:
    n = len(popularity)
    columns = {"product_id": range(n), "category_code": ["a.b", "a.b", "a.c", "d"], "category": ["a", "a", "a", "d"]}
    return Catalogue.of(pa.table(columns | {"brand": ["x"] * n, "avg_price": [1.0] * n, "popularity": popularity}))


def test_a_product_tells_as_many_bits_as_its_share_of_all_popularity() -> None:
    assert self_information(catalogue(POPULARITY)).tolist() == [1, 2, 2, 2], "untouched: as the least popular"
    assert self_information(catalogue([0.0] * 4)).tolist() == [0] * 4


def test_novelty_is_the_mean_of_a_list() -> None:
    lists = np.array([[0, 1, -1], [3, -1, -1], [-1, -1, -1]], np.int32)
    assert novelty(lists, self_information(catalogue(POPULARITY))).tolist()[:2] == [1.5, 2]
    assert math.isnan(novelty(lists, self_information(catalogue(POPULARITY)))[2]), "an empty list tells nothing"


def test_diversity_of_products_without_categories_is_not_known() -> None:
    known = catalogue(POPULARITY)
    at = known.table.column_names.index("category_code")
    bare = Catalogue.of(known.table.set_column(at, "category_code", pa.array(["unknown"] * 4)))
    lists = np.array([[0, 1]], np.int64)
    assert Variety.of(known).top_10(lists)["diversity"] == [0, 1]
    assert Variety.of(bare).top_10(lists)["diversity"] == [0, 0]


def test_an_empty_list_counts_neither_way() -> None:
    """A model that has nothing for most visitors is not the less novel for it: one list of 1.5 bits, one of none."""
    top = Variety.of(catalogue(POPULARITY)).top_10(np.array([[0, 1], [-1, -1]], np.int64))
    assert (top["novelty"], top["diversity"]) == ([1.5, 1], [0, 1])


def test_diversity_is_the_share_of_pairs_of_different_categories() -> None:
    lists = np.array([[0, 1, 2], [0, 1, -1], [2, 3, -1], [3, -1, -1]], np.int32)
    assert diversity(lists, category_groups(catalogue(POPULARITY))).tolist() == pytest.approx(
        [2 / 3, 0, 1, np.nan], nan_ok=True
    )
