"""What the garbage collection of Spark's Python workers passes over.

Spark's daemon collects garbage after every task. To look through all that the modules of a training hold takes some
40 ms, for which the worker's next task waits.
"""

import gc
import sys
from collections.abc import Hashable
from functools import lru_cache


def settle(*loaded: Hashable) -> None:
    """Let what this worker holds be passed over, for good.

    To be called at the end of a task, when nothing but modules and what is kept for the next tasks is left. It looks
    again only where modules were imported since, or other things were `loaded`.
    """
    _settled(len(sys.modules), *loaded)


@lru_cache(maxsize=2)
def _settled(*loaded: Hashable) -> None:
    gc.collect()
    gc.freeze()
