"""What generators learn from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from app.serve.catalogue import Catalogue


@dataclass(frozen=True)
class Tables:
    """The tables of a slice, and the positions that arrays of a bundle go by.

    `interactions`: folder of Parquet: user_id, product_id, rating (0 < r <= 10), in parts.
    `touches`: folder of `app.features.sessions.TOUCH_SCHEMA`, in parts.
    `interest`: folder of Parquet: `app.learn.popularity.segment_interest`, by part.
    `catalogue`: product ids and attributes; `user_ids` (u,): known users, sorted.
    `folder`: scratch space on a disk that driver and executors share.
    """

    spark: SparkSession
    interactions: Path
    touches: Path
    interest: Path
    catalogue: Catalogue
    user_ids: NDArray[np.int64]
    folder: Path
