"""Which part a row goes to, as Spark's `repartition` by a column of integers has it; for many rows, without Spark."""

import numpy as np
from numpy.typing import NDArray

_SEED = 42  #: Spark's
_BYTES = 8  #: of a long


def part_of(numbers: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """The part of each of some integers (64 bits), as `DataFrame.repartition(parts, column)` has it.

    MurmurHash3 of 32 bits (Appleby 2011), its remainder by `parts`.
    """
    unsigned = numbers.view(np.uint64)
    low, high = unsigned.astype(np.uint32), (unsigned >> np.uint64(32)).astype(np.uint32)
    mixed = _mixed(_mixed(np.full(len(numbers), _SEED, np.uint32), low), high)
    return np.mod(_spread(mixed ^ np.uint32(_BYTES)).view(np.int32).astype(np.int64), parts)


def _mixed(hashed: NDArray[np.uint32], word: NDArray[np.uint32]) -> NDArray[np.uint32]:
    word = _rotated(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    return _rotated(hashed ^ word, 13) * np.uint32(5) + np.uint32(0xE6546B64)


def _rotated(word: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (word << np.uint32(bits)) | (word >> np.uint32(32 - bits))


def _spread(hashed: NDArray[np.uint32]) -> NDArray[np.uint32]:
    hashed = (hashed ^ (hashed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashed = (hashed ^ (hashed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashed ^ (hashed >> np.uint32(16))
