"""Rows of a matrix worked out by Spark's workers, a batch at a time, by way of the disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from app.serve.ragged import Ragged
from app.serve.sparse import canonical_rows

ROWS = pa.schema([("row", pa.int32()), ("columns", pa.list_(pa.int32())), ("values", pa.list_(pa.float32()))])
CHUNK = 500  #: rows worked out at a time, which bounds a worker's memory

#: From the numbers of rows (m,) to these rows (m, p). It opens what it needs, since workers get it by themselves.
Work = Callable[[NDArray[np.int64]], csr_matrix]


def by_workers(spark: SparkSession, n: int, work: Work, target: Path, columns: int | None = None) -> csr_matrix:
    """The matrix (n, columns) of the rows that `work` gives.

    Parameters
    ----------
    spark
        Whose workers share the rows out.
    n
        Number of rows.
    work
        What gives some of them.
    target
        Folder for the rows, on a disk that driver and executors share.
    columns
        Of the matrix; as many as rows if not given.
    """
    spark.range(n).mapInArrow(_batches(work), from_arrow_schema(ROWS)).write.mode("overwrite").parquet(str(target))
    table = pq.read_table(target).sort_by("row").combine_chunks()
    places, values = (table[name].combine_chunks() for name in ("columns", "values"))
    offsets = Ragged.of_lists(places).offsets
    return canonical_rows(
        csr_matrix((values.flatten().to_numpy(), places.flatten().to_numpy(), offsets), shape=(n, columns or n))
    )


def _batches(work: Work) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = batch["id"].to_numpy()
            with threadpool_limits(1, "blas"):  # Spark's tasks are the parallelism
                parts = [work(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
            found = csr_matrix(vstack(parts)) if parts else csr_matrix((0, 0))
            offsets = pa.array(found.indptr.astype(np.int32))
            columns, values = (
                pa.ListArray.from_arrays(offsets, pa.array(part)) for part in (found.indices, found.data)
            )
            yield pa.RecordBatch.from_arrays(
                [pa.array(rows, pa.int32()), columns.cast(ROWS.types[1]), values.cast(ROWS.types[2])], schema=ROWS
            )

    return answer
