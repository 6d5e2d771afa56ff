"""What is known of products, as answers have it, by hand."""

import numpy as np
import pyarrow as pa
import pytest

from app.api.attributes import Attributes, Lookup
from app.serve.catalogue import Catalogue

KEYS = [None, "shoe-7", "bag/1"]
COLUMNS = {
    "product_id": [3, 5, 9],
    "product_key": KEYS,
    "title": [None, "Red shoe", None],
    "category_code": ["shoes.red", "unknown", None],
    "category": ["shoes", "unknown", "unknown"],
    "brand": ["unknown", "acme", "acme"],
    "avg_price": [12.345, None, 7.0],
    "popularity": [1.0, 1.0, 1.0],
}


@pytest.mark.parametrize(("text_ids", "ids"), [(True, ["bag/1", "shoe-7", "3"]), (False, ["9", "5", "3"])])
def test_attributes_by_position(text_ids: bool, ids: list[str]) -> None:
    found = Lookup(Catalogue.of(pa.table(COLUMNS)), text_ids)(np.array([2, 1, 0]))
    assert found == Attributes(
        ids=ids,
        titles=[None, "Red shoe", None],
        categories=[None, None, "shoes.red"],
        brands=["acme", "acme", None],
        prices=[7.0, None, round(12.345, 2)],
    )


def test_where_nothing_is_known_there_is_nothing() -> None:
    bare = {name: COLUMNS[name] for name in ("product_id", "category", "popularity")}
    nothing = {name: pa.nulls(3, pa.string()) for name in ("category_code", "brand")} | {
        "avg_price": pa.nulls(3, pa.float64())
    }
    found = Lookup(Catalogue.of(pa.table(bare | nothing)), False)(np.array([0, 0, 1]))
    assert found == Attributes(["3", "3", "5"], *([[None] * 3] * 4))


def test_a_product_is_called_by_its_title_or_by_brand_kind_and_id() -> None:
    found = Attributes(
        ["1", "2", "3", "4"],
        ["Red shoe", None, None, None],
        ["shoes.red", "shoes.red", None, "shoes"],
        ["acme", "acme", "acme", None],
        [None] * 4,
    )
    assert [found.name(place) for place in range(4)] == ["Red shoe", "acme red 2", "acme product 3", "shoes 4"]
