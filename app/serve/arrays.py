"""Arrays of a bundle, opened without being read."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray


def mapped(file: Path, mode: Literal["r", "c"] = "r") -> NDArray:
    """The array of a `.npy` file, memory-mapped: workers of a machine share one copy.

    Parameters
    ----------
    file
        Written by `np.save`.
    mode
        "r" is read-only, "c" copy-on-write, for libraries that ask for writable arrays.
    """
    # A plain view, since each slice of numpy's memmap class costs as much as the look-up itself.
    return np.asarray(np.load(file, mmap_mode=mode))
