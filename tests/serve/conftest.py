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

from app.core.duck import connect, write
from app.core.settings import Settings
from app.learn.popularity import segment_interest
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from tests.handmade import relation
from tests.learn.tables import store_touches

BLOCK = 6
PRODUCTS = [1_000_000_000_000 + number for number in range(2 * BLOCK)]  # wider than 32 bits
USERS = [2_000_000_000_000 + number for number in range(2 * BLOCK)]
MakeTables = Callable[..., Tables]


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
        for number in range(2):
            part = [pair for pair in pairs if pair[0] % 2 == number]
            table = {
                "user_id": [USERS[user] for user, _ in part],
                "product_id": [PRODUCTS[item] for _, item in part],
                "rating": [3.0] * len(part),
            }
            pq.write_table(pa.table(table), folder / "interactions" / f"part-{number:05d}.parquet")
        times = [float(place) for place in range(BLOCK - 1)]
        sessions = [
            (USERS[u], f"s{u}", [PRODUCTS[item] for item in seen(u)], [3.0] * (BLOCK - 1), times) for u in users
        ]
        store_touches(folder / "touches", sessions)
        (folder / "interest").mkdir()
        with connect(folder) as connection:
            rated = relation(
                connection,
                [(USERS[u], PRODUCTS[item], 3.0) for u, item in pairs],
                "user_id bigint, product_id bigint, decayed double",
            )
            segments = relation(connection, [(USERS[u], u // BLOCK) for u in users], "user_id bigint, segment_id int")
            write(segment_interest(rated, segments), folder / "interest" / "part-0.parquet")
        return Tables(
            spark=spark,
            interactions=folder / "interactions",
            touches=folder / "touches",
            interest=folder / "interest",
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
