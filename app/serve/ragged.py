"""Lists of differing lengths, kept flat: the shape that visits, histories and pools share."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NONE = -1  #: stands for "unknown" and "no product" in every array of positions

Ints = NDArray[np.integer[Any]]
#: What numpy takes as an index.
Where = NDArray[np.bool_] | Ints


@dataclass(frozen=True)
class Ragged:
    """How m entries belong to n rows: row i has the entries `offsets[i]` … `offsets[i + 1] - 1`.

    Only the shape: values lie in arrays (m,) beside it.

    Examples
    --------
    >>> shape = Ragged.of_lengths(np.array([2, 0, 1]))
    >>> shape.rows().tolist(), shape.places().tolist(), shape.ages().tolist()
    ([0, 0, 2], [0, 1, 0], [1, 0, 0])
    """

    offsets: NDArray[np.int64]

    @classmethod
    def of_lengths(cls, lengths: Ints) -> "Ragged":
        """From the number of entries of each row (n,)."""
        return cls(_running(lengths))

    @classmethod
    def of_rows(cls, rows: Ints, n: int) -> "Ragged":
        """From the row of each entry (m,), in ascending order."""
        return cls.of_lengths(np.bincount(rows, minlength=n))

    @classmethod
    def of_lists(cls, lists: pa.ListArray) -> "Ragged":
        """The shape of an array of lists; a null is a row without entries."""
        return cls.of_lengths(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))

    @classmethod
    def empty(cls, n: int) -> "Ragged":
        """n rows without entries."""
        return cls(np.zeros(n + 1, np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Entries of each row: (n,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def rows(self) -> NDArray[np.int64]:
        """The row of each entry: (m,)."""
        return self._rows

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self)), self.lengths)

    def places(self) -> NDArray[np.int64]:
        """The place of each entry in its row, from 0: (m,)."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)

    def ages(self) -> NDArray[np.int64]:
        """How many entries of the same row come after each: 0 for the last, (m,)."""
        return self._ages

    @cached_property
    def _ages(self) -> NDArray[np.int64]:
        return np.repeat(self.offsets[1:], self.lengths) - 1 - np.arange(self.offsets[-1])

    def last(self) -> NDArray[np.int64]:
        """The last entry of each row that has any: (rows with entries,)."""
        return self.offsets[1:][self.lengths > 0] - 1

    def slice(self, start: int, stop: int) -> tuple["Ragged", slice]:
        """The shape of rows start … stop - 1, and where their entries lie."""
        first, end = self.offsets[start], self.offsets[stop]
        return Ragged(self.offsets[start : stop + 1] - first), slice(int(first), int(end))

    def take(self, wanted: Ints) -> tuple["Ragged", NDArray[np.int64]]:
        """The shape of the wanted rows (w,), in that order, and their entries; `NONE` is a row without any."""
        known = wanted != NONE
        starts = np.where(known, self.offsets[wanted], 0)
        lengths = np.where(known, self.offsets[wanted + 1] - starts, 0)
        return self.ranges(starts, lengths)

    @classmethod
    def ranges(cls, starts: Ints, lengths: Ints) -> tuple["Ragged", NDArray[np.int64]]:
        """The shape of rows that are ranges of entries, and these entries."""
        shape = cls.of_lengths(lengths)
        return shape, np.repeat(starts, lengths) + shape.places()

    def keep(self, kept: NDArray[np.bool_]) -> "Ragged":
        """The shape once only some of the entries are kept (m,)."""
        return Ragged(_running(kept)[self.offsets])

    def joined(self, other: "Ragged") -> tuple["Ragged", NDArray[np.int64]]:
        """The shape with each row's entries followed by those of the same row of `other`.

        Returns
        -------
        tuple
            The shape, and for each of its entries the index in the two arrays of values, one after the other.
        """
        rows = np.concatenate([self.rows(), other.rows()])
        return Ragged.of_lengths(self.lengths + other.lengths), np.argsort(rows, kind="stable")


def _running(counts: NDArray[Any]) -> NDArray[np.int64]:
    """0, then the sum of the first, of the first two …: (n + 1,)."""
    sums = np.zeros(len(counts) + 1, np.int64)
    counts.cumsum(out=sums[1:])
    return sums


def as_int64(integers: Ints) -> NDArray[np.int64]:
    """The same, in the one kind that loops are compiled for."""
    return integers.astype(np.int64, copy=False)


def pair_keys(rows: Ints, items: Ints) -> NDArray[np.int64]:
    """One integer for each (row, item), by which they sort and compare."""
    return rows.astype(np.int64) << 32 | items.astype(np.int64)


def unpack_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows and items that `pair_keys` packed."""
    return keys >> 32, keys & 0xFFFFFFFF


def first_of_each(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Where a new group begins in sorted keys (m,) of equal length."""
    if len(keys[0]) == 0:
        return np.empty(0, np.int64)
    changed = np.zeros(len(keys[0]) - 1, np.bool_)
    for key in keys:
        changed |= key[1:] != key[:-1]
    return np.flatnonzero(np.concatenate([[True], changed]))
