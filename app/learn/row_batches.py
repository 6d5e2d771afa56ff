"""Rows of a matrix worked out by Spark's workers, a batch at a time, by way of the disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from app.core.parts import Part, by_part
from app.learn.part_rows import publish_part
from app.serve.sparse import canonical_rows, load_rows, save_rows

CHUNK = 500  #: rows worked out at a time, which bounds a worker's memory
CUT = 2_000  #: where rows are cut as they are made, which copies the right side of their product each time
TASKS = 4  #: for each core, so that none is long alone with the last
ALONE = 5_000  #: rows that the driver works out by itself, in the time that a job takes to start

#: From the numbers of rows (m,) to these rows (m, columns).
Rows = Callable[[NDArray[np.int64]], csr_matrix]
#: Opens what it needs, once in each task, since workers get it by themselves.
Work = Callable[[], Rows]


def by_workers(
    spark: SparkSession,
    n: int,
    work: Work,
    target: Path,
    columns: int | None = None,
    parts: int = 1,
    chunk: int = CHUNK,
) -> csr_matrix:
    """The matrix (n, columns), canonical, of the rows that `work` gives.

    Parameters
    ----------
    spark
        Whose workers share the rows out.
    n
        Number of rows.
    work
        What gives some of them.
    target
        Folder for the rows, on a disk that driver and executors share; it is made.
    columns
        Of the matrix; as many as rows if not given.
    parts
        Of the table that all rows are made from: if they are more than the cores, few rows are much work as well.
    chunk
        Rows worked out at a time: `CHUNK` or `CUT`.
    """
    cores = spark.sparkContext.defaultParallelism
    if n <= ALONE and parts <= cores:
        return _rows(work, 0, n, columns or n, chunk)
    target.mkdir()
    tasks = min(-(-n // CHUNK), TASKS * cores)
    bounds = [n * task // tasks for task in range(tasks + 1)]

    def task(part: Part) -> None:
        with threadpool_limits(1, "blas"):  # Spark's tasks are the parallelism
            found = _rows(work, bounds[part.number], bounds[part.number + 1], columns or n, chunk)
        publish_part(target / str(part.number), lambda aside: save_rows(aside, "rows", found))

    by_part(spark, tasks, task, target)
    return csr_matrix(vstack([load_rows(target / str(number), "rows", columns or n) for number in range(tasks)]))


def _rows(work: Work, start: int, stop: int, columns: int, chunk: int) -> csr_matrix:
    rows = work()
    found = [rows(np.arange(first, min(first + chunk, stop))) for first in range(start, stop, chunk)]
    return canonical_rows(vstack(found) if found else csr_matrix((0, columns)))
