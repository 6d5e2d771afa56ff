"""A shop with a known answer, in the manner of benfred/implicit's tests: two blocks with nothing in common.

Twelve products, the first six of block a, the others of block b; twelve users, six of each block. User i
has seen all products of the block but the i-th: that one is the answer.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.serve.catalogue import Catalogue
from app.serve.contract import NONE, Batch, Tables

BLOCK = 6
PRODUCTS = [1_000_000_000_000 + number for number in range(2 * BLOCK)]  # wider than 32 bits
USERS = [2_000_000_000_000 + number for number in range(2 * BLOCK)]
MakeTables = Callable[..., Tables]
MakeBatch = Callable[..., Batch]


def seen(user: int) -> list[int]:
    """Positions of the products that a user has seen."""
    start = user // BLOCK * BLOCK
    return [item for item in range(start, start + BLOCK) if item != user]


@pytest.fixture(scope="session")
def block_settings() -> Settings:
    return Settings(als_factors=2, als_iterations=8, als_regularization=0.5, segments=2, candidates=50)


@pytest.fixture(scope="session")
def block_tables(spark: SparkSession) -> MakeTables:
    def make(folder: Path, shuffled: bool = False) -> Tables:
        order = random.Random(9)
        pairs = [(user, item) for user in range(2 * BLOCK) for item in seen(user)]
        users = list(range(2 * BLOCK))
        if shuffled:
            order.shuffle(pairs)
            order.shuffle(users)
        (folder / "interactions").mkdir(parents=True)
        half = len(pairs) // 2
        for name, part in (("a", pairs[:half]), ("b", pairs[half:])):
            table = {
                "user_id": [USERS[user] for user, _ in part],
                "product_id": [PRODUCTS[item] for _, item in part],
                "rating": [3.0] * len(part),
            }
            pq.write_table(pa.table(table), folder / "interactions" / f"{name}.parquet")
        sessions = [(USERS[u], f"s{u}", [PRODUCTS[item] for item in seen(u)], [3.0] * (BLOCK - 1)) for u in users]
        return Tables(
            spark=spark,
            interactions=folder / "interactions",
            session_items=spark.createDataFrame(
                sessions, "user_id long, session_id string, product_ids array<long>, ratings array<float>"
            ),
            popularity=spark.createDataFrame(
                [(USERS[u], PRODUCTS[item], 3.0) for u, item in pairs], "user_id long, product_id long, decayed double"
            ),
            user_segments=spark.createDataFrame(
                [(USERS[u], u // BLOCK) for u in users], "user_id long, segment_id int"
            ),
            catalogue=block_catalogue(),
            user_ids=np.array(USERS, np.int64),
            folder=folder,
        )

    return make


def block_catalogue() -> Catalogue:
    n = 2 * BLOCK
    return Catalogue.of(
        pa.table(
            {
                "product_id": PRODUCTS,
                "category_code": ["a.x"] * BLOCK + ["b.y"] * BLOCK,
                "category": ["a"] * BLOCK + ["b"] * BLOCK,
                "brand": ["acme"] * BLOCK + ["zeta"] * BLOCK,
                "avg_price": [10.0] * BLOCK + [500.0] * BLOCK,
                "popularity": [15.0] * n,
            }
        )
    )


@pytest.fixture(scope="session")
def make_batch() -> MakeBatch:
    def make(
        items: list[list[int]],
        users: list[int] | None = None,
        fresh: bool = True,
        weights: list[list[float]] | None = None,
    ) -> Batch:
        """A session or history for each row; segments are known where the user is."""
        who = np.array(users if users is not None else [NONE] * len(items), np.int32)
        flat = [x for row in (weights or [[3.0] * len(row) for row in items]) for x in row]
        return Batch(
            who,
            np.where(who == NONE, NONE, who // BLOCK).astype(np.int32),
            np.concatenate([[0], np.cumsum([len(row) for row in items])]).astype(np.int64),
            np.array([x for row in items for x in row], np.int32),
            np.array(flat, np.float32),
            np.array([fresh and bool(row) for row in items], np.bool_),
        )

    return make
