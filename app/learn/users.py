"""The table of users that a bundle remembers."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.features.sessions import last, touch_arrays
from app.serve.catalogue import Catalogue
from app.serve.ragged import NONE, Ragged
from app.serve.users import UserTable
from app.serve.visits import Touches


def user_histories(pairs: DataFrame, user_segments: DataFrame, n: int) -> DataFrame:
    """The latest products of each user, and what was bought when.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    user_segments
        user_id, segment_id.
    n
        Products kept per user.

    Returns
    -------
    DataFrame
        user_id, user_key, segment_id, `TOUCHES` (arrays, oldest first, at most n), bought_ids (array of long),
        bought_at (array of long, seconds since 1970); sorted by user_id.
    """
    touch = F.struct(
        F.col("last_seen").alias("at"), "product_id", "kind", F.col("rating").cast("float").alias("weight")
    )
    bought = F.struct("product_id", F.col("last_purchase").cast("long").alias("at"))
    grouped = pairs.groupBy("user_id").agg(
        F.sort_array(F.collect_list(touch)).alias("touches"),
        F.sort_array(F.collect_list(F.when(F.col("last_purchase").isNotNull(), bought))).alias("bought"),
        F.max("user_key").alias("user_key"),
    )
    return (
        grouped.withColumn("touches", last("touches", n))
        .join(user_segments, "user_id", how="left")
        .select(
            "user_id",
            "user_key",
            "segment_id",
            *touch_arrays("touches"),
            F.col("bought.product_id").alias("bought_ids"),
            F.col("bought.at").alias("bought_at"),
        )
        .orderBy("user_id")
    )


def read_users(folder: Path, catalogue: Catalogue) -> UserTable:
    """The user table, from the Parquet files of `user_histories`; products not in the catalogue are left out."""
    table = ds.dataset(folder, format="parquet").to_table().sort_by("user_id").combine_chunks()
    touches = Touches.of_table(table)
    bought, bought_at = table["bought_ids"].combine_chunks(), table["bought_at"].combine_chunks()
    return UserTable(
        table["user_id"].to_numpy(),
        pc.fill_null(table["segment_id"], NONE).to_numpy().astype(np.int32),
        touches.placed(catalogue.positions(touches.products)),
        Ragged.of_lists(bought),
        catalogue.positions(bought.flatten().to_numpy()),
        bought_at.flatten().to_numpy(),
        None if table["user_key"].null_count == len(table) else table["user_key"].combine_chunks(),
    )
