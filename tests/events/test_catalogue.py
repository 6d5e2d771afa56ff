"""Catalogues: columns by the layout, the last row of a product, and each mistake in one line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.settings import Settings
from app.events.catalogue import CATALOGUE_SCHEMA, read_catalogue
from tests.handmade import by_key

LAYOUT = """
columns: {event_time: t, product_id: p, user_id: u}
event_type: view
ids: text
catalogue:
  columns: {product_id: Sku, title: Name, category_code: Path, brand: Maker, price: Cost, available: Stock}
  delimiter: ";"
  category_separator: ">"
"""


def catalogue(spark: SparkSession, path: Path, layout: str | None = None) -> dict[Any, dict[str, Any]]:
    settings = Settings(catalogue=str(path))
    if layout is not None:
        (path.parent / "shop.yaml").write_text(layout)
        settings = Settings(catalogue=str(path), layout=path.parent / "shop.yaml")
    frame = read_catalogue(spark, settings)
    assert frame is not None
    assert frame.schema.simpleString() == CATALOGUE_SCHEMA.simpleString()
    return by_key(frame, "product_key" if layout else "product_id")


def test_none_is_named(spark: SparkSession) -> None:
    assert read_catalogue(spark, Settings()) is None


def test_columns_by_the_layout(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text(
        "Maker;Sku;Name;Path;Cost;Stock;note\n"
        "acme;A1;Kettle;Kitchen > Small  things>Kettles;19.90;3;x\n"
        ";B2; ;;free;0;x\n"
        "nan;7;Cup;Kitchen;-1;yes;x\n"
        "zeta;8;Plate;Kitchen;1000001;Out of stock;x\n"
        "zeta;9;Bowl;Kitchen;2;;x\n"
    )
    found = catalogue(spark, path, LAYOUT)
    assert found["A1"]["category_code"] == "Kitchen.Small  things.Kettles"
    assert [found["A1"][name] for name in ("title", "brand", "price", "available")] == ["Kettle", "acme", 19.9, True]
    assert list(found["B2"].values())[2:] == [None, "unknown", "unknown", None, False]
    assert (found["7"]["product_id"], found["7"]["brand"], found["7"]["price"]) == (7, "unknown", None)
    assert [found[key]["available"] for key in "789"] == [True, False, None]
    assert found["8"]["price"] is None


def test_our_own_names_need_no_layout_and_only_the_product(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("category_code,product_id\n1173,165162\n")
    (row,) = catalogue(spark, path).values()
    assert (row["product_id"], row["product_key"], row["category_code"], row["brand"]) == (
        165162,
        None,
        "1173",
        "unknown",
    )


def test_typed_parquet(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    pq.write_table(pa.table({"product_id": [1.0, 2.0], "available": [True, False], "price": [1.5, None]}), path)
    found = catalogue(spark, path)
    assert [(found[n]["available"], found[n]["price"]) for n in (1, 2)] == [(True, 1.5), (False, None)]


def test_the_last_row_of_a_product_counts(spark: SparkSession, tmp_path: Path) -> None:
    """Whole, also where it knows less; in a file that several tasks read."""
    path = tmp_path / "products.csv"
    lines = [f"{i % 500},name {i},{'acme' if i < 19_500 else ''}" for i in range(20_000)]
    path.write_text("product_id,title,brand\n" + "\n".join(lines) + "\n")
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "20000")
    try:
        found = catalogue(spark, path)
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)
    assert len(found) == 500
    assert all(row["title"] == f"name {19_500 + product}" for product, row in found.items())
    assert {row["brand"] for row in found.values()} == {"unknown"}


def test_a_product_bears_its_usual_title(spark: SparkSession, tmp_path: Path) -> None:
    """As in a log whose lines are named in passing, the last ones not at all."""
    path = tmp_path / "lines.csv"
    path.write_text("product_id,title,brand\n1,Cup,a\n1,Cup,b\n1,damaged,c\n1,,d\n2,Old,a\n2,New,b\n3,,a\n")
    found = catalogue(spark, path)
    assert [(found[n]["title"], found[n]["brand"]) for n in (1, 2, 3)] == [("Cup", "d"), ("New", "b"), (None, "a")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("sku,title\n1,a\n", "column product_id is missing; it has sku, title; the layout's catalogue part"),
        ("product_id,title\n1,a\nA1,b\n,c\n", "2 rows have no valid product_id; .*'ids: text'"),
        ("product_id,title\n1,a,b\n", "1 rows do not have the same number of columns as the header"),
        (
            "product_id,kind\n1,a\n",
            "says nothing of its products: .* none of title, .*it has product_id",
        ),
        ("product_id,available\n1,preorder\n", "available holds 'preorder'; write true or false"),
    ],
)
def test_a_mistake_is_one_line(content: str, says: str, spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        catalogue(spark, tmp_path / "products.csv")
    assert str(raised.value).startswith("--catalogue ")
    assert "\n" not in str(raised.value)


def test_a_category_may_be_called_so(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("product_id,category\n1,a.b\n")
    assert catalogue(spark, tmp_path / "products.csv")[1]["category_code"] == "a.b"
    (tmp_path / "both.csv").write_text("product_id,category,category_code\n1,a.b,c.d\n")
    assert catalogue(spark, tmp_path / "both.csv")[1]["category_code"] == "c.d"


def test_a_file_that_is_not_there(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--catalogue .*none\.csv: no such file"):
        catalogue(spark, tmp_path / "none.csv")


def test_a_column_that_the_layout_names_must_be_there(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("Sku;Name\n1;a\n")
    with pytest.raises(InputError, match="column Path, Maker, Cost, Stock is missing"):
        catalogue(spark, tmp_path / "products.csv", LAYOUT)


def test_the_categories_of_a_real_shop(spark: SparkSession, shared_data: Path, tmp_path: Path) -> None:
    """RetailRocket's week knows its categories by number alone; as a catalogue each product has one."""
    frame = spark.read.csv(str(shared_data / "retailrocket_week" / "events.csv"), header=True)
    products = frame.select("product_id", "category_id").distinct().toPandas()
    products.rename(columns={"category_id": "category_code"}).to_csv(tmp_path / "products.csv", index=False)
    found = catalogue(spark, tmp_path / "products.csv")
    assert len(found) == 13_882
    assert len({row["category_code"] for row in found.values()} - {"unknown"}) == 743
