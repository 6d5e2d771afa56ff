"""What products are alike by their words: by hand, new ones too."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.learn.content import fit_content, words
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from app.serve.generators import Content

#: Three kettles, of which one is new, and three lamps, of which two are new and one is sold out.
PRODUCTS = {
    "product_id": [10, 11, 12, 20, 21, 22],
    "category_code": ["kitchen.kettle"] * 3 + ["light.lamp"] * 3,
    "category": ["kitchen"] * 3 + ["light"] * 3,
    "brand": ["acme", "bolt", "acme", "acme", "bolt", "unknown"],
    "avg_price": [10.0, 80.0, 10.0, 10.0, 10.0, None],
    "title": ["Blue kettle", None, "A kettle, blue", None, None, None],
    "available": [True, True, True, True, True, False],
    "popularity": [4.0, 9.0, 0.0, 4.0, 0.0, 0.0],
}


def tables(catalogue: Catalogue, spark: SparkSession, folder: Path) -> Tables:
    nothing = folder / "nothing"
    return Tables(spark, nothing, nothing, nothing, catalogue, np.empty(0, np.int64), folder)


def fitted(spark: SparkSession, folder: Path, **settings: int) -> Content:
    return fit_content(tables(Catalogue.of(pa.table(PRODUCTS)), spark, folder), Settings().model_copy(update=settings))


def test_words_of_a_product() -> None:
    every = list(words(Catalogue.of(pa.table(PRODUCTS))))
    assert every[0] == [
        "category kitchen",
        "category kitchen.kettle",
        "brand acme",
        "category kitchen.kettle brand acme",
        "category kitchen.kettle price 7",
        "blue",
        "kettle",
    ]
    assert every[5] == ["category light", "category light.lamp"], "brand and price are not known"


def test_a_new_product_is_proposed_and_has_neighbours(spark: SparkSession, tmp_path: Path) -> None:
    rows = fitted(spark, tmp_path).rows.toarray()
    assert rows[0, 2] > 0
    assert rows[0, 1] > rows[0, 4], "another kettle, rather than a lamp of the same price"
    assert rows[2, 0] > rows[2, 1] > 0, "alike in everything, rather than the more popular one"
    assert rows[:, 5].tolist() == [0] * 6, "not available"
    assert rows[5, 3] > 0, "though asked about, it has neighbours"
    assert np.diag(rows).tolist() == [0] * 6


def test_so_many_known_and_so_many_new_ones_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    rows = fitted(spark, tmp_path, content_neighbours=1).rows.toarray()
    new = np.array(PRODUCTS["popularity"]) == 0
    assert ((rows[:, ~new] > 0).sum(axis=1) <= 1).all()
    assert ((rows[:, new] > 0).sum(axis=1) <= 1).all()
    assert (rows[0] > 0).sum() == 2


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_catalogue_that_says_nothing_has_no_neighbours(spark: SparkSession, tmp_path: Path, number: int) -> None:
    unknown = ["unknown"] * number
    columns = {"product_id": range(number), "category_code": unknown, "category": unknown, "brand": unknown}
    catalogue = Catalogue.of(
        pa.table(columns | {"avg_price": np.zeros(number), "popularity": np.ones(number)}).cast(
            pa.schema(
                [
                    ("product_id", pa.int64()),
                    *((name, pa.string()) for name in ("category_code", "category", "brand")),
                    ("avg_price", pa.float64()),
                    ("popularity", pa.float64()),
                ]
            )
        )
    )
    found = fit_content(tables(catalogue, spark, tmp_path), Settings())
    assert found.rows.shape == (number, number)
    assert found.rows.nnz == 0
