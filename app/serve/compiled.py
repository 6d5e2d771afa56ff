"""How loops are compiled: types of their parameters, and the decorator.

Arrays of a few hundred numbers cost numpy more in calls than in work, and an answer needs hundreds of such calls. numba
compiles a loop when its file is first imported (`make setup` sees to that), and keeps it in `__pycache__`, or where
`NUMBA_CACHE_DIR` says. A loop calls only functions of its own file: numba finds what it kept stale only if that file
has changed. Who answers imports a file of loops where it needs it: that takes a second, which one that only learns is
spared.
"""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numba
from numba import types


def given(of: types.Type) -> types.Array:
    """A parameter (m,) that visits bring along: of any stride, of any place in memory, and only read."""
    return types.Array(of, 1, "A", readonly=True, aligned=False)


def kept(of: types.Type, dimensions: int = 1) -> types.Array:
    """A parameter that is kept as one piece, and only read."""
    return types.Array(of, dimensions, "C", readonly=True)


INT = types.int64
INT8S, INT32S, INT64S, FLOATS, DOUBLES = (
    given(of) for of in (types.int8, types.int32, types.int64, types.float32, types.float64)
)
#: starts, ends, items, values
ROWS = (kept(types.int64), kept(types.int64), kept(types.int32), kept(types.float32))
TABLE, DOUBLE_TABLE, INT32_TABLE = (kept(of, 2) for of in (types.float32, types.float64, types.int32))


def compiled(*parameters: types.Type) -> Callable[[Callable], Any]:
    """The decorator of a loop that Python calls; it may run beside other threads."""

    def compile_it(function: Callable) -> Any:
        try:
            return numba.njit(parameters, cache=True, nogil=True, error_model="numpy")(function)
        except (RuntimeError, OSError, EOFError, UnpicklingError):
            # No folder or no room to keep it, or what was kept is cut short: each process compiles its own.
            return numba.njit(parameters, nogil=True, error_model="numpy")(function)

    return compile_it


#: A function that loops of its own file call.
inner = numba.njit(error_model="numpy")
#: One whose sums may be added in any order, so that several are added at once.
inner_sum = numba.njit(error_model="numpy", fastmath={"reassoc", "contract"})
