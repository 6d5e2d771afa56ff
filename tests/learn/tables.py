"""Tables of sessions for tests of what is learned from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from app.core.duck import connect, write
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from tests.handmade import relation

FIRST = 5_000_000_000  #: product id of position 0, wider than 32 bits


def session_tables(
    spark: SparkSession,
    folder: Path,
    sessions: Sequence[Sequence[int]],
    products: int,
    ended: Sequence[float] | None = None,
    available: NDArray[np.bool_] | None = None,
) -> Tables:
    """Sessions of distinct products by position, each of a user of its own.

    `ended`: seconds of each session's last touch; without it the log has no times.
    """
    rows = [
        (
            user,
            str(user),
            [FIRST + item for item in session],
            [1.0] * len(session),
            None if ended is None else [ended[user] - age for age in reversed(range(len(session)))],
        )
        for user, session in enumerate(sessions)
    ]
    interactions = folder / "interactions"
    interactions.mkdir(parents=True)
    flat = [(user, FIRST + item) for user, session in enumerate(sessions) for item in session]
    table = {"user_id": [user for user, _ in flat], "product_id": [item for _, item in flat]}
    pq.write_table(pa.table(table | {"rating": [1.0] * len(flat)}), interactions / "part-00000.parquet")
    names = [f"c{item}" for item in range(products)]
    catalogue = {"product_id": np.arange(products) + FIRST, "category_code": names, "category": names, "brand": names}
    numbers = {"avg_price": np.zeros(products), "popularity": np.zeros(products)}
    sellable = {} if available is None else {"available": available}
    store_touches(folder / "touches", rows)
    return Tables(
        spark=spark,
        interactions=interactions,
        touches=folder / "touches",
        interest=folder / "interest",
        catalogue=Catalogue.of(pa.table(catalogue | numbers | sellable)),
        user_ids=np.arange(len(sessions)),
        folder=folder,
    )


def store_touches(folder: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of user_id, session_id, product_ids, weights and times, in two parts."""
    folder.mkdir()
    with connect(folder) as connection:
        for part in range(2):
            columns = "user_id bigint, session_id varchar, product_ids bigint[], weights float[], times double[]"
            write(relation(connection, rows[part::2], columns), folder / f"part-{part:05d}.parquet")


def random_sessions(rng: np.random.Generator, n: int, products: int, longest: int) -> list[list[int]]:
    """Sessions of one to `longest` distinct products."""
    return [rng.permutation(products)[: rng.integers(1, longest + 1)].tolist() for _ in range(n)]
