"""The memory of the process: what is done with it again and again while requests wait is done seldom.

A full collection of Python's garbage looks at all that was ever imported and at the open bundle: 70 ms in which nothing
is answered. And what the arrays of one call leave is not given back to the system, which would give it to the next
call page by page: that took half of the time of a generator that answers many visits.
"""

import ctypes
import gc
import weakref

YOUNG = 5_000  #: objects that came and did not go before the young are looked at, which takes a millisecond then
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  #: of glibc's malloc.h
KEPT_BYTES, LARGE_BYTES = 64 << 20, 16 << 20  #: kept of what was freed; arrays so large are the system's all the same


class Heap:
    """What is there when the process has settled is left out of later collections; a new bundle unsettles it.

    The young ones come seldom: nearly all that an answer is made of goes by itself.

    Parameters
    ----------
    bundle
        The one in use.
    """

    def __init__(self, bundle: object):
        self._bundle, self._settled = weakref.ref(bundle), True
        gc.set_threshold(YOUNG)
        _keep_freed()
        _settle()

    def look(self, bundle: object) -> None:
        """Called now and then: settles anew at the second look at a new bundle, when no answer needs the old one."""
        if self._bundle() is not bundle:
            self._bundle, self._settled = weakref.ref(bundle), False
        elif not self._settled:
            self._settled = True
            _settle()


def _keep_freed() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; others do as they will
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _settle() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
