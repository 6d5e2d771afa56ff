"""A shop's catalogue: what it knows of its products before anyone has looked at them."""

import re

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from app.core.errors import InputError
from app.core.settings import Settings
from app.events.canonical import CORRUPT, ShopColumns, is_missing, quoted
from app.events.clean import id_key, id_number
from app.events.csv_text import csv_frame, csv_header, header_columns
from app.events.layout import CATEGORY, CatalogueColumns, CatalogueLayout, Layout, layout_of
from app.events.log_files import PARQUET, literal, matching_files
from app.events.read import no_such_catalogue
from app.events.vocabulary import NO, UNKNOWN, YES

CATALOGUE_SCHEMA = T.StructType(
    [
        T.StructField("product_id", T.LongType()),  # the internal number, as in the events table
        T.StructField("product_key", T.StringType()),  # the shop's own id; null where ids are integers
        T.StructField("title", T.StringType()),  # null where not known
        T.StructField("category_code", T.StringType()),  # a path a.b.c; "unknown" where not known
        T.StructField("brand", T.StringType()),  # "unknown" where not known
        T.StructField("price", T.DoubleType()),  # shop currency; null where not known or implausible
        T.StructField("available", T.BooleanType()),  # null where not known
    ]
)


def read_catalogue(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """The catalogue that the settings name.

    Parameters
    ----------
    spark
        Session.
    settings
        `catalogue` is a file, CSV or Parquet; the layout's `catalogue` part names its columns. Without such
        a part they bear our names, and those that are not there are not known.

    Returns
    -------
    DataFrame or None
        `CATALOGUE_SCHEMA`, each product once: the last row of one that is named twice counts, but for its title, which
        is the most frequent one, of equally frequent ones the last. None where no catalogue is named.

    Raises
    ------
    InputError
        Nothing there; a column is missing; a row can't be split or has no valid product id; `available` holds
        neither a word for yes or no nor a number.
    """
    if settings.catalogue is None:
        return None
    layout = layout_of(settings)
    rows, part = _read(spark, settings.catalogue, layout.catalogue)
    typed = _typed(rows, part, layout, settings.max_price)
    _check(typed, settings.catalogue)
    return _each_once(typed)


def _read(spark: SparkSession, source: str, part: CatalogueLayout | None) -> tuple[DataFrame, CatalogueLayout]:
    """The rows as they stand there, with `_corrupt` and `_row` (their order), and how they are read."""
    files = matching_files(spark, source)
    if not files:
        raise no_such_catalogue(source)
    names = sorted(files)
    delimiter = part.delimiter if part else ","
    if names[0].endswith(PARQUET):
        frame = spark.read.parquet(*map(literal, names)).withColumn(CORRUPT, F.lit(None).cast("string"))
        columns = [name for name in frame.columns if name != CORRUPT]
    else:
        columns = header_columns(csv_header(spark, names[0], delimiter), delimiter)
        frame = csv_frame(spark, names, columns, delimiter)
    there = [name.strip() for name in columns]
    if part is None:
        part = CatalogueLayout(columns=_by_name(there))
    needed = part.columns.named()
    if missing := [name for name in needed if name not in there]:
        raise InputError(
            f"--catalogue {source}: column {', '.join(missing)} is missing; it has {', '.join(there)}; the layout's "
            "catalogue part names its columns and delimiter"
        )
    if len(needed) == 1:
        known = ", ".join(name for name in CatalogueColumns.model_fields if name != "product_id")
        raise InputError(
            f"--catalogue {source}: says nothing of its products: beside {needed[0]} it has none of {known}; it has "
            f"{', '.join(there)}; the layout's catalogue part names its columns"
        )
    as_named = {name.strip(): name for name in columns}
    order = F.struct("_metadata.file_path", "_metadata.file_block_start", F.monotonically_increasing_id())
    return frame.select(*(quoted(as_named[name]).alias(name) for name in needed), CORRUPT, order.alias("_row")), part


def _by_name(there: list[str]) -> CatalogueColumns:
    """Columns that bear our names; `category` is a category's as well."""
    ours = {name: name for name in CatalogueColumns.model_fields if name in there}
    if CATEGORY in there:
        ours.setdefault("category_code", CATEGORY)
    return CatalogueColumns(**{"product_id": "product_id"} | ours)


def _typed(rows: DataFrame, part: CatalogueLayout, layout: Layout, max_price: float) -> DataFrame:
    shop, columns = ShopColumns(rows), part.columns
    product = shop.text(columns.product_id, whole=True)
    category = shop.text(columns.category_code)
    if part.category_separator != ".":
        parts = F.transform(F.split(category, re.escape(part.category_separator)), lambda name: F.trim(name))
        category = F.array_join(parts, ".")
    price = shop.text(columns.price).try_cast("double")
    available = F.lower(F.trim(shop.text(columns.available)))
    return rows.select(
        id_number(product, layout).alias("product_id"),
        id_key(product, layout).alias("product_key"),
        _known(shop.text(columns.title)).alias("title"),
        F.coalesce(_known(category), F.lit(UNKNOWN)).alias("category_code"),
        F.coalesce(_known(shop.text(columns.brand)), F.lit(UNKNOWN)).alias("brand"),
        F.when((price > 0) & (price <= max_price), price).alias("price"),
        _yes_or_no(available).alias("available"),
        F.when(~is_missing(available) & _yes_or_no(available).isNull(), available).alias("_unclear"),
        CORRUPT,
        "_row",
    )


def _known(text: Column) -> Column:
    return F.when(~is_missing(text), F.trim(text))


def _yes_or_no(text: Column) -> Column:
    """A word for yes or no, or the number in stock."""
    return F.when(text.isin(*YES), True).when(text.isin(*NO), False).otherwise(text.try_cast("double") > 0)


def _check(typed: DataFrame, source: str) -> None:
    """Refuse a catalogue with rows that would be lost or misread: it is written by the shop, and can be mended."""
    corrupt = F.col(CORRUPT).isNotNull()
    found = typed.agg(
        F.count_if(corrupt).alias("corrupt"),
        F.count_if(~corrupt & F.col("product_id").isNull()).alias("nameless"),
        F.min(F.when(~corrupt, F.col("_unclear"))).alias("unclear"),
    ).first()
    assert found is not None
    if found["corrupt"]:
        raise InputError(
            f"--catalogue {source}: {found['corrupt']:,} rows do not have the same number of columns as the header"
        )
    if found["nameless"]:
        raise InputError(
            f"--catalogue {source}: {found['nameless']:,} rows have no valid product_id; correct them, or set "
            "'ids: text' in the layout if ids may be any text"
        )
    if found["unclear"] is not None:
        raise InputError(
            f"--catalogue {source}: available holds {found['unclear']!r}; write true or false, or the number in stock"
        )


def _each_once(typed: DataFrame) -> DataFrame:
    """The last row of each product, with its most frequent title: lines of a log name products by the way."""
    columns = [name for name in CATALOGUE_SCHEMA.names if name not in ("product_id", "title")]
    titles = typed.where("title is not null").groupBy("product_id", "title")
    counted = titles.agg(F.struct(F.count("*").alias("rows"), F.max("_row").alias("last")).alias("weight"))
    usual = counted.groupBy("product_id").agg(F.max_by("title", "weight").alias("title"))
    last = typed.groupBy("product_id").agg(F.max_by(F.struct(*columns), "_row").alias("last"))
    return last.select("product_id", "last.*").join(usual, "product_id", how="left").to(CATALOGUE_SCHEMA)
