"""Training all generators on one slice of time."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from app.core.settings import Settings
from app.serve.catalogue import COLUMNS, Catalogue
from app.serve.contract import Tables
from app.serve.generators import GENERATORS
from app.serve.recommender import Recommender
from app.serve.users import UserTable, user_histories


def fit_recommender(
    spark: SparkSession,
    settings: Settings,
    pairs: DataFrame,
    sessions: DataFrame,
    user_segments: DataFrame,
    products: DataFrame,
    scratch: Path,
) -> Recommender:
    """Train every generator, and gather what serving needs beside them.

    Parameters
    ----------
    spark, settings
        Session and settings.
    pairs
        `user_product_pairs` of the slice.
    sessions
        `session_products` of the slice.
    user_segments
        user_id, segment_id.
    products
        `product_features` of the slice.
    scratch
        Folder for tables on the way, on a disk that driver and executors share; emptied first.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    catalogue = Catalogue.of(_table(products.select(*COLUMNS), scratch / "products"))
    users_folder = scratch / "users"
    user_histories(pairs, user_segments, settings.history_products).write.parquet(str(users_folder))
    users = UserTable.read(users_folder, catalogue)
    interactions = scratch / "interactions"
    pairs.where("rating > 0").select("user_id", "product_id", "rating").write.parquet(str(interactions))
    tables = Tables(
        spark=spark,
        interactions=interactions,
        session_items=sessions,
        popularity=pairs.select("user_id", "product_id", "decayed"),
        user_segments=user_segments.select("user_id", "segment_id"),
        catalogue=catalogue,
        user_ids=users.ids,
        folder=scratch,
    )
    generators = {kind.name: kind.fit(tables, settings) for kind in GENERATORS}
    return Recommender.of(catalogue, users, generators, settings)


def _table(frame: DataFrame, path: Path):  # type: ignore[no-untyped-def]
    """A product-sized table on the driver, by way of the disk."""
    frame.write.parquet(str(path))
    return pq.read_table(path)
