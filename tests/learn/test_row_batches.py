"""Rows by workers and by the driver alone: one matrix."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, diags

from app.learn import row_batches
from app.learn.row_batches import CHUNK, Rows, by_workers

N = 2 * CHUNK + 3


def diagonal() -> Rows:
    def rows(numbers: NDArray[np.int64]) -> csr_matrix:
        return csr_matrix(diags(np.arange(N, dtype=np.float32)))[numbers]

    return rows


@pytest.mark.parametrize("alone", [0, N])
def test_every_row_is_in_its_place(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: int
) -> None:
    monkeypatch.setattr(row_batches, "ALONE", alone)
    found = by_workers(spark, N, diagonal, tmp_path / "rows")
    assert (tmp_path / "rows").exists() == (alone == 0)
    assert found.diagonal().tolist() == list(range(N))
    assert found.nnz == N - 1, "a zero is not stored"


def test_few_rows_of_a_large_table_are_shared_out(spark: SparkSession, tmp_path: Path) -> None:
    parts = spark.sparkContext.defaultParallelism + 1
    by_workers(spark, N, diagonal, tmp_path / "rows", parts=parts)
    assert (tmp_path / "rows").exists()
