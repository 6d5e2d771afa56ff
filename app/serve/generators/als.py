"""Implicit ALS: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008).

Two engines make the same factors: the library `implicit` in the driver's memory, and Spark ML's
ALS beyond. Answers are the same code for both: stored factors for a known user of whom nothing new
was seen, folding-in (one least-squares step) for everyone else.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from app.core.settings import Settings
from app.serve.catalogue import Catalogue, positions
from app.serve.contract import NONE, Batch, Candidates, Tables

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]


class ImplicitALS:
    """Latent factors of users and products.

    `user_factors` (u, f), `item_factors` (p, f) float32.
    """

    name: ClassVar[str] = "als"

    def __init__(
        self,
        user_factors: NDArray[np.float32],
        item_factors: NDArray[np.float32],
        regularization: float,
        alpha: float,
    ):
        self.user_factors, self.item_factors = user_factors, item_factors
        self.regularization, self.alpha = regularization, alpha

    @classmethod
    def fit(cls, tables: Tables, settings: Settings) -> Self:
        users, items = fit_factors(tables, settings)
        return cls(users, items, settings.als_regularization, settings.als_alpha)

    def save(self, folder: Path) -> None:
        np.save(folder / "user_factors.npy", self.user_factors)
        np.save(folder / "item_factors.npy", self.item_factors)
        np.save(folder / "parameters.npy", np.array([self.regularization, self.alpha]))

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        regularization, alpha = np.load(folder / "parameters.npy")
        # Copy-on-write: mapped and shared like read-only, but the library asks for writable arrays.
        users, items = (np.load(folder / f"{side}_factors.npy", mmap_mode="c") for side in ("user", "item"))
        return cls(users, items, float(regularization), float(alpha))

    @cached_property
    def _model(self) -> AlternatingLeastSquares:
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=self.item_factors.shape[1],
                regularization=self.regularization,
                alpha=self.alpha,
                num_threads=1,  # Spark's tasks are the parallelism
            )
        model.user_factors, model.item_factors = self.user_factors, self.item_factors
        return model

    def candidates(self, batch: Batch, k: int) -> Candidates:
        result = Candidates.empty(len(batch), k)
        seen = np.diff(batch.offsets) > 0
        known = np.flatnonzero((batch.users != NONE) & ~batch.fresh)
        fold_in = np.flatnonzero(seen & ((batch.users == NONE) | batch.fresh))
        k = min(k, len(self.item_factors))
        with threadpool_limits(1, "blas"):
            if len(known):
                items, scores = self._model.recommend(batch.users[known], None, N=k, filter_already_liked_items=False)
                result.items[known, :k], result.scores[known, :k] = items, scores
            if len(fold_in):
                seen_items = csr_matrix(
                    (batch.weights, batch.items, batch.offsets), shape=(len(batch), len(self.item_factors))
                )[fold_in]
                seen_items.sum_duplicates()
                seen_items.eliminate_zeros()  # what was only removed from the cart counts as not seen
                items, scores = self._model.recommend(
                    np.arange(len(fold_in)),
                    seen_items,
                    N=k,
                    filter_already_liked_items=False,
                    recalculate_user=True,
                )
                result.items[fold_in, :k], result.scores[fold_in, :k] = items, scores
        result.items[result.scores <= 0] = NONE  # nothing in common with what was seen
        result.scores[result.items == NONE] = 0
        return result


def choose_engine(settings: Settings, pairs: int) -> str:
    """`implicit` where the pairs fit the driver's memory (about 40 bytes each), else `spark`."""
    if settings.als_engine != "auto":
        return settings.als_engine
    if settings.als_nonnegative:
        return "spark"
    return "implicit" if pairs <= settings.als_max_pairs else "spark"


def fit_factors(tables: Tables, settings: Settings) -> Factors:
    """Factors of users and products, by the engine that fits the size."""
    pairs = sum(piece.count_rows() for piece in pq.ParquetDataset(tables.interactions).fragments)
    if choose_engine(settings, pairs) == "spark":
        return _fit_spark(tables, settings)
    return _fit_implicit(tables, settings)


def _fit_implicit(tables: Tables, settings: Settings) -> Factors:
    pairs = pq.read_table(tables.interactions, columns=["user_id", "product_id", "rating"])
    matrix = csr_matrix(
        (
            pairs["rating"].to_numpy().astype(np.float32),
            (
                positions(tables.user_ids, pairs["user_id"].to_numpy()),
                tables.catalogue.positions(pairs["product_id"].to_numpy()),
            ),
        ),
        shape=(len(tables.user_ids), len(tables.catalogue)),
    )
    matrix.sort_indices()  # the order of rows in the files must not matter
    with threadpool_limits(1, "blas"):  # its own threads; with the library's on top it is four times slower
        model = AlternatingLeastSquares(
            factors=settings.als_factors,
            regularization=settings.als_regularization,
            alpha=settings.als_alpha,
            iterations=settings.als_iterations,
            random_state=settings.seed,
        )
        model.fit(matrix, show_progress=False)
    return model.user_factors, model.item_factors


def _fit_spark(tables: Tables, settings: Settings) -> Factors:
    """Spark ML's ALS over positions: its ids must be 32-bit, those of a shop need not be."""
    from pyspark.ml.recommendation import ALS  # where it is fitted: whoever only serves need not wait for it

    spark, folder = tables.spark, tables.folder
    pairs = spark.read.parquet(str(tables.interactions))
    for name, ids in (("user", tables.user_ids), ("product", tables.catalogue.product_ids)):
        dictionary = folder / f"{name}_positions"
        _write_dictionary(ids, name, dictionary)
        pairs = pairs.join(spark.read.parquet(str(dictionary)), f"{name}_id", how="inner")
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
    factors = []
    for name, frame, rows in (
        ("user", model.userFactors, len(tables.user_ids)),
        ("product", model.itemFactors, len(tables.catalogue)),
    ):
        path = folder / f"{name}_factors"
        frame.select(F.col("id"), F.col("features").cast("array<float>")).write.mode("overwrite").parquet(str(path))
        written = pq.read_table(path)
        matrix = np.zeros((rows, settings.als_factors), np.float32)
        values = written["features"].combine_chunks().flatten().to_numpy()
        matrix[written["id"].to_numpy()] = values.reshape(-1, settings.als_factors)
        factors.append(matrix)
    return factors[0], factors[1]


def _write_dictionary(ids: NDArray[np.int64], name: str, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    table = pa.table({f"{name}_id": ids, name: np.arange(len(ids), dtype=np.int32)})
    pq.write_table(table, path / "part-0.parquet")
