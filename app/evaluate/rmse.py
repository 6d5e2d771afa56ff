"""The error of predicted ratings, which says nothing about ranking."""

import math
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from app.core import duck
from app.core.parts import Part, by_part, part_files, read_table
from app.serve.contract import Rater
from app.serve.ragged import NONE
from app.serve.recommender import opened


def rating_rmse(spark: SparkSession, pairs: Path, cut: datetime, candidate: Path, folder: Path) -> float | None:
    """Root mean squared error of ALS scores against ratings after the cut.

    Reported because docs/brief.md asks for it. An implicit model predicts a preference near 0..1, not
    a rating up to 10, so that the figure says nothing about ranking; nothing is chosen by it.

    Parameters
    ----------
    spark
        Session.
    pairs
        Table of `user_product_pairs`.
    cut
        Pairs last seen from here on are tested.
    candidate
        Folder of the recommender.
    folder
        For a table on the way, on a disk that driver and executors share.
    """

    raters = (one for one in opened(candidate).generators.values() if isinstance(one, Rater))
    if next(raters, None) is None:
        return None

    def errors(part: Part) -> None:
        recommender = opened(candidate)
        rater = next(one for one in recommender.generators.values() if isinstance(one, Rater))
        tested = part.read(pairs).filter(f"last_seen >= timestamp '{cut}' and rating > 0")
        table = tested.select("user_id, product_id, rating").to_arrow_table()
        users = recommender.users.positions(table["user_id"].to_numpy())
        items = recommender.catalogue.positions(table["product_id"].to_numpy())
        known = (users != NONE) & (items != NONE)
        squared = (table["rating"].to_numpy()[known] - rater.rate(users[known], items[known])) ** 2
        sums = pa.table({"squared": [float(squared.sum())], "pairs": [int(known.sum())]})
        part.write("errors", part.connection.from_arrow(sums))

    by_part(spark, len(part_files(pairs)), errors, folder)
    with duck.connect(folder) as connection:
        sums = read_table(connection, folder / "errors")
        ((squared, tested),) = sums.aggregate("fsum(squared), sum(pairs)").fetchall()
    return math.sqrt(squared / tested) if tested else None
