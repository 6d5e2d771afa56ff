"""Random walks over products, as sparse products of matrices with rows cut short."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, diags, hstack, identity, vstack

from app.learn.row_batches import CUT, Rows, Work, by_workers
from app.learn.row_products import strongest_of_product
from app.serve.sparse import load_rows, save_rows, scaled_columns

STEPS = 4  #: of a walk: what later ones would add is damped to a sixteenth and less


def scaled_rows(matrix: csr_matrix) -> csr_matrix:
    """The matrix with each row divided by its sum; empty rows stay empty."""
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    return csr_matrix(diags(np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)) @ matrix)


def restarts(similarities: csr_matrix, alike: float) -> csr_matrix:
    """Where a walk starts again: of `alike` at similar products, by their rows (p, p) scaled to 1, else at its own."""
    return csr_matrix(alike * similarities + (1 - alike) * identity(similarities.shape[0], np.float64, format="csr"))


def walks(
    spark: SparkSession,
    transitions: csr_matrix,
    restart: csr_matrix,
    onward: float,
    width: int,
    factors: NDArray[np.float32],
    folder: Path,
) -> csr_matrix:
    """Where walks end that at each step go onward or start again.

    Ends = onward · Ends · transitions + (1 - onward) · restart from Ends = I, `STEPS` times over; after the last step
    each column is multiplied by its factor.

    Parameters
    ----------
    spark
        Whose workers share the rows out.
    transitions, restart
        (p, p), each row scaled to 1.
    onward
        Probability of going onward.
    width
        Largest values of a row that are kept after each step.
    factors
        (p,): of the products; one whose factor is 0 is not in the result.
    folder
        On a disk that driver and executors share.

    Returns
    -------
    csr_matrix
        (p, p): row i says where walks from i end.
    """
    # One above the other, so that a step is one product: of where walks are, and beside it where each began.
    step = csr_matrix(vstack([onward * transitions, (1 - onward) * restart]))
    for name, matrix in (("step", step), ("last", scaled_columns(step, factors))):
        save_rows(folder, name, matrix)
    n = transitions.shape[0]
    return by_workers(spark, n, _walker(folder, n, width), folder / "walks", chunk=CUT)


def _walker(folder: Path, n: int, width: int) -> Work:
    def work() -> Rows:
        step, last = (load_rows(folder, name, n, "c") for name in ("step", "last"))

        def walk(rows: NDArray[np.int64]) -> csr_matrix:
            ends = begun = csr_matrix(
                (np.ones(len(rows), np.float32), rows.astype(np.int32), np.arange(len(rows) + 1)), (len(rows), n)
            )
            for matrix in [step] * (STEPS - 1) + [last]:
                ends = strongest_of_product(csr_matrix(hstack([ends, begun])), matrix, width)
            return ends

        return walk

    return work
