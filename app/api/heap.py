"""Python's garbage collector, kept from looking through everything again and again while requests wait.

A full collection looks at all that was ever imported and at the open bundle: 70 ms in which nothing is answered.
"""

import gc
import weakref

YOUNG = 5_000  #: objects that came and did not go before the young are looked at, which takes a millisecond then


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
        _settle()

    def look(self, bundle: object) -> None:
        """Called now and then: settles anew at the second look at a new bundle, when no answer needs the old one."""
        if self._bundle() is not bundle:
            self._bundle, self._settled = weakref.ref(bundle), False
        elif not self._settled:
            self._settled = True
            _settle()


def _settle() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
