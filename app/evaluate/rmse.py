"""The error of predicted ratings, which says nothing about ranking."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.serve.contract import Rater
from app.serve.ragged import NONE
from app.serve.recommender import opened


def rating_rmse(pairs: DataFrame, cut: datetime, candidate: Path) -> float | None:
    """Root mean squared error of ALS scores against ratings after the cut.

    Reported because docs/brief.md asks for it. An implicit model predicts a preference near 0..1, not
    a rating up to 10, so that the figure says nothing about ranking; nothing is chosen by it.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    cut
        Pairs last seen from here on are tested.
    candidate
        Folder of the recommender.
    """

    def errors(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        recommender = opened(candidate)
        raters = (generator for generator in recommender.generators.values() if isinstance(generator, Rater))
        rater = next(raters, None)
        if rater is None:
            return
        for batch in batches:
            users = recommender.users.positions(batch.column("user_id").to_numpy())
            items = recommender.catalogue.positions(batch.column("product_id").to_numpy())
            known = (users != NONE) & (items != NONE)
            predicted = rater.rate(users[known], items[known])
            squared = (batch.column("rating").to_numpy()[known] - predicted) ** 2
            yield pa.RecordBatch.from_pydict({"squared": [float(squared.sum())], "pairs": [int(known.sum())]})

    test = pairs.where((F.col("last_seen") >= F.lit(cut)) & (F.col("rating") > 0))
    row = (
        test.select("user_id", "product_id", "rating")
        .mapInArrow(errors, "squared double, pairs long")
        .agg(F.sum("squared").alias("squared"), F.sum("pairs").alias("pairs"))
        .first()
    )
    assert row is not None
    return float(np.sqrt(row["squared"] / row["pairs"])) if row["pairs"] else None
