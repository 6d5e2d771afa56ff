"""Rows of implicit ALS solved by conjugate gradients, many at once.

Takács, Pilászy, Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative Filtering"
(RecSys 2011), with the steps of the library `implicit`. That takes a row at a time, by products of some fifty numbers,
which their calls outlast; here products are of whole blocks of rows: the same factors but for their last digits, in
half the time.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

#: Of a block, whose arrays stay near the processor; a row that has more entries is one alone. What blocks there are
#: depends on the rows, so that factors are the same, to the last bit, whoever solves them.
MOST_ROWS, MOST_ENTRIES = 2_048, 16_384
SOLVED = 1e-20  #: squared length of a residual that is not reduced further

Floats = NDArray[np.float32]


class BlockwiseALS(AlternatingLeastSquares):
    """The library's ALS, whose rows are solved block by block."""

    @property
    def solver(self) -> Any:
        """The library calls it with the number of its threads as well."""
        return lambda rows, factors, others, regularization, num_threads: solve_rows(
            rows, factors, others, regularization, self.cg_steps
        )


def block_starts(indptr: NDArray[np.int32]) -> NDArray[np.int64]:
    """The first row of each block, and the number of rows; `indptr` is a sparse matrix's."""
    starts, rows = [0], len(indptr) - 1
    while starts[-1] < rows:
        first = starts[-1]
        fit = int(np.searchsorted(indptr, indptr[first] + MOST_ENTRIES, "right")) - 1
        starts.append(min(max(fit, first + 1), first + MOST_ROWS, rows))
    return np.array(starts)


def solve_rows(rows: csr_matrix, factors: Floats, others: Floats, regularization: float, steps: int) -> None:
    """Improve the factors of one side, in place.

    Parameters
    ----------
    rows
        (n, m) confidences; of pairs that are not preferred, negative.
    factors, others
        (n, f) and (m, f): of this side and the other.
    regularization
        Weight of the squared length of factors.
    steps
        Of conjugate gradients.
    """
    gram = others.T @ others + regularization * np.eye(others.shape[1], dtype=np.float32)
    starts = block_starts(rows.indptr)
    for start, stop in pairwise(starts):
        entries = slice(rows.indptr[start], rows.indptr[stop])
        bounds = rows.indptr[start : stop + 1] - rows.indptr[start]
        touched = _Touched.of(others[rows.indices[entries]], rows.data[entries], bounds)
        _solve(touched, gram, factors[start:stop], steps)


@dataclass(frozen=True)
class _Touched:
    """The e entries of a block of b rows.

    `vectors` (e, f) of the other side; `owners` (e,) rows; `bounds` (b + 1,) of their entries; `preferred` (e,) the
    confidences of what is preferred, 0 of other pairs; `weights` (e,) by how much confidences exceed those of pairs
    that nobody touched.
    """

    vectors: Floats
    owners: NDArray[np.int64]
    bounds: NDArray[np.int32]
    preferred: Floats
    weights: Floats

    @classmethod
    def of(cls, vectors: Floats, confidences: Floats, bounds: NDArray[np.int32]) -> "_Touched":
        owners = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return cls(vectors, owners, bounds, np.maximum(confidences, 0), np.abs(confidences) - 1)

    def products(self, of_rows: Floats) -> Floats:
        """Of each entry's vector with its row's (b, f)."""
        if len(of_rows) == 1:  # may have as many entries as there are users: nothing is copied for each
            return self.vectors @ of_rows[0]
        found: Floats = np.einsum("ef,ef->e", self.vectors, of_rows.take(self.owners, axis=0))
        return found

    def sums(self, values: Floats) -> Floats:
        """(b, f): the vectors of each row's entries, times values (e,)."""
        shape = (len(self.bounds) - 1, len(values))
        own = csr_matrix((values, np.arange(len(values), dtype=np.int32), self.bounds), shape=shape)
        found: Floats = own @ self.vectors
        return found


def _solve(touched: _Touched, gram: Floats, factors: Floats, steps: int) -> None:
    residual = touched.sums(touched.preferred - touched.weights * touched.products(factors)) - factors @ gram
    direction = residual.copy()
    length = _dots(residual, residual)
    for _ in range(steps):
        image = direction @ gram + touched.sums(touched.weights * touched.products(direction))
        far = length >= SOLVED
        step = _divided(length, _dots(direction, image), far)[:, None]
        factors += step * direction
        residual -= step * image
        shorter = _dots(residual, residual)
        direction *= _divided(shorter, length, far)[:, None]
        direction += residual
        length = shorter
    factors[np.diff(touched.bounds) == 0] = 0


def _dots(one: Floats, other: Floats) -> Floats:
    found: Floats = np.einsum("bf,bf->b", one, other)
    return found


def _divided(value: Floats, by: Floats, where: NDArray[np.bool_]) -> Floats:
    found: Floats = np.divide(value, by, out=np.zeros_like(value), where=where)
    return found
