"""A thread for what waits for a disk or a lock."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

Done = TypeVar("Done")
CLOSE_SECONDS = 2.0  #: that what the thread is at may still take: a lock that it waits for may never be free


class Apart:
    """Does things in a thread, the same every time, one after the other, while the event loop goes on.

    Not for what computes: it would fight with the event loop for the interpreter, and both take twice as long.
    The process ends whatever the thread waits for, which one of an executor would not let it do.
    """

    def __init__(self, name: str):
        self._asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    async def __call__(self, work: Callable[[], Done]) -> Done:
        if self._closed:
            raise RuntimeError(f"{self._thread.name} has been closed")
        done: Future[Done] = Future()
        self._asked.put((work, done))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """End the thread when it has done what it was asked for, or leave it after `CLOSE_SECONDS`."""
        self._closed = True
        self._asked.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            _do(*asked)
            del asked  # or it would be kept, with what it belongs to, until the next


def _do(work: Callable[[], Any], done: Future[Any]) -> None:
    if not done.set_running_or_notify_cancel():
        return
    try:
        found = work()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(found)
