"""What a bundle knows of its users: segment, latest products and purchases."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.features.session_products import last
from app.serve.catalogue import Catalogue, positions
from app.serve.contract import NONE

ARRAYS = {
    "ids": np.int64,
    "segments": np.int32,
    "history_offsets": np.int64,
    "history_items": np.int32,
    "history_weights": np.float32,
    "bought_offsets": np.int64,
    "bought_items": np.int32,
    "bought_at": np.int64,
}


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
        user_id, segment_id, product_ids, ratings (arrays, oldest first, at most n), bought_ids
        (array of long), bought_at (array of long, seconds since 1970); sorted by user_id.
    """
    entry = F.struct("last_seen", "product_id", "rating")
    bought = F.struct("product_id", F.col("last_purchase").cast("long").alias("at"))
    grouped = pairs.groupBy("user_id").agg(
        F.sort_array(F.collect_list(entry)).alias("latest"),
        F.sort_array(F.collect_list(F.when(F.col("last_purchase").isNotNull(), bought))).alias("bought"),
    )
    return (
        grouped.withColumn("latest", last("latest", n))
        .join(user_segments, "user_id", how="left")
        .select(
            "user_id",
            "segment_id",
            F.col("latest.product_id").alias("product_ids"),
            F.col("latest.rating").cast("array<float>").alias("ratings"),
            F.col("bought.product_id").alias("bought_ids"),
            F.col("bought.at").alias("bought_at"),
        )
        .orderBy("user_id")
    )


@dataclass(frozen=True)
class UserTable:
    """Users sorted by id, as arrays.

    `ids` (u,), `segments` (u,), and ragged lists: user i's latest products are
    `history_items[history_offsets[i]:history_offsets[i + 1]]`; likewise `bought_items` and
    `bought_at` (seconds since 1970).
    """

    ids: NDArray[np.int64]
    segments: NDArray[np.int32]
    history_offsets: NDArray[np.int64]
    history_items: NDArray[np.int32]
    history_weights: NDArray[np.float32]
    bought_offsets: NDArray[np.int64]
    bought_items: NDArray[np.int32]
    bought_at: NDArray[np.int64]

    @classmethod
    def read(cls, folder: Path, catalogue: Catalogue) -> "UserTable":
        """From the Parquet files of `user_histories`."""
        table = ds.dataset(folder, format="parquet").to_table().sort_by("user_id").combine_chunks()
        histories, ratings = table["product_ids"].combine_chunks(), table["ratings"].combine_chunks()
        bought, bought_at = table["bought_ids"].combine_chunks(), table["bought_at"].combine_chunks()
        return cls(
            table["user_id"].to_numpy(),
            pc.fill_null(table["segment_id"], NONE).to_numpy().astype(np.int32),
            _offsets(histories),
            catalogue.positions(histories.flatten().to_numpy()),
            ratings.flatten().to_numpy(),
            _offsets(bought),
            catalogue.positions(bought.flatten().to_numpy()),
            bought_at.flatten().to_numpy(),
        )

    def save(self, folder: Path) -> None:
        for name, dtype in ARRAYS.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(getattr(self, name), dtype))

    @classmethod
    def load(cls, folder: Path) -> "UserTable":
        return cls(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS})

    def positions(self, user_ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Position of each user; -1 for an unknown one."""
        return positions(self.ids, user_ids)

    def bought_since(
        self, users: NDArray[np.int32], moments: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows and products (m,) that the known ones of these users (n,) bought at or after a moment (n,)."""
        rows, entries = ragged(self.bought_offsets, users)
        recent = self.bought_at[entries] >= moments[rows]
        return rows[recent], self.bought_items[entries[recent]]


def ragged(offsets: NDArray[np.int64], wanted: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and entry index of all entries of the wanted lists, in order; -1 is an empty list."""
    known = wanted != NONE
    start = np.where(known, offsets[wanted], 0)
    length = np.where(known, offsets[wanted + 1] - start, 0)
    rows = np.repeat(np.arange(len(wanted)), length)
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return rows, np.repeat(start, length) + within


def _offsets(lists: pa.ListArray) -> NDArray[np.int64]:
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
