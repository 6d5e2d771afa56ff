"""Learning the factors of implicit ALS, by one of two engines.

The library `implicit` in the driver's memory, and Spark ML's ALS beyond.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from app.core.settings import Settings
from app.core.spark import cores_here
from app.learn.als_processes import SharedALS
from app.learn.als_rows import BlockwiseALS
from app.learn.tables import Tables
from app.serve.catalogue import positions
from app.serve.generators.als import ImplicitALS

ALONE = 150_000  #: pairs that the driver learns from by itself, in the time that processes take to start

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]


def fit_als(tables: Tables, settings: Settings) -> ImplicitALS:
    """Factors by the engine that fits the number of pairs."""
    pairs = sum(piece.count_rows() for piece in pq.ParquetDataset(tables.interactions).fragments)
    fit = _fit_spark if choose_engine(settings, pairs) == "spark" else _fit_implicit
    return ImplicitALS.of(*fit(tables, settings), settings.als_regularization, settings.als_alpha)


def choose_engine(settings: Settings, pairs: int) -> str:
    """`implicit` where the pairs fit the driver's memory (about 40 bytes each), else `spark`."""
    if settings.als_engine != "auto":
        return settings.als_engine
    if settings.als_nonnegative:
        return "spark"
    return "implicit" if pairs <= settings.als_max_pairs else "spark"


def _fit_implicit(tables: Tables, settings: Settings) -> Factors:
    pairs = pq.read_table(tables.interactions, columns=["user_id", "product_id", "rating"])
    users = positions(tables.user_ids, pairs["user_id"].to_numpy())
    items = tables.catalogue.positions(pairs["product_id"].to_numpy())
    ratings = pairs["rating"].to_numpy().astype(np.float32)
    matrix = csr_matrix((ratings, (users, items)), shape=(len(tables.user_ids), len(tables.catalogue)))
    matrix.sort_indices()  # the order of rows in the files must not matter
    parameters = {
        "factors": settings.als_factors,
        "regularization": settings.als_regularization,
        "alpha": settings.als_alpha,
        "iterations": settings.als_iterations,
        "random_state": settings.seed,
    }
    processes = cores_here(tables.spark) if matrix.nnz > ALONE else 1
    with threadpool_limits(1, "blas"):  # with the library's threads on top of ALS's it is four times slower
        model = SharedALS(tables.folder, processes, **parameters) if processes > 1 else BlockwiseALS(**parameters)
        model.fit(matrix, show_progress=False)
    return model.user_factors, model.item_factors


def _fit_spark(tables: Tables, settings: Settings) -> Factors:
    """Spark ML's ALS over positions: its ids must be 32-bit, those of a shop need not be."""
    from pyspark.ml.recommendation import ALS  # only where it is used: the import takes a second

    spark, folder = tables.spark, tables.folder
    pairs = spark.read.parquet(str(tables.interactions))
    for name, ids in (("user", tables.user_ids), ("product", tables.catalogue.product_ids)):
        pairs = pairs.join(_dictionary(spark, ids, name, folder / f"{name}_positions"), f"{name}_id", how="inner")
    als = ALS(
        rank=settings.als_factors,
        maxIter=settings.als_iterations,
        regParam=settings.als_regularization,
        alpha=settings.als_alpha,
        implicitPrefs=True,
        nonnegative=settings.als_nonnegative,
        userCol="user",
        itemCol="product",
        ratingCol="rating",
        coldStartStrategy="drop",
        seed=settings.seed,
    )
    model = als.fit(
        pairs.select("user", "product", "rating").repartition("user").sortWithinPartitions("user", "product")
    )
    return (
        _matrix(model.userFactors, len(tables.user_ids), settings.als_factors, folder / "user_factors"),
        _matrix(model.itemFactors, len(tables.catalogue), settings.als_factors, folder / "product_factors"),
    )


def _matrix(factors: DataFrame, rows: int, rank: int, path: Path) -> NDArray[np.float32]:
    """Factors by position, by way of the disk; 0 where there are none."""
    factors.select("id", F.col("features").cast("array<float>")).write.mode("overwrite").parquet(str(path))
    written = pq.read_table(path)
    matrix = np.zeros((rows, rank), np.float32)
    matrix[written["id"].to_numpy()] = written["features"].combine_chunks().flatten().to_numpy().reshape(-1, rank)
    return matrix


def _dictionary(spark: SparkSession, ids: NDArray[np.int64], name: str, path: Path) -> DataFrame:
    """`<name>_id` and its position `<name>`, by way of the disk."""
    path.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({f"{name}_id": ids, name: np.arange(len(ids), dtype=np.int32)}), path / "part-0.parquet")
    return spark.read.parquet(str(path))
