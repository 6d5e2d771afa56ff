"""Ctrl-C and SIGTERM that wait until what they would leave half done is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_later() -> Iterator[None]:
    """SIGINT and SIGTERM of the block are raised at its end; only the main thread hears them.

    A handler that the block sets itself is left in place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = list[int]()

    def hear(number: int, _: object) -> None:
        heard.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)
        for told in heard:
            signal.raise_signal(told)
