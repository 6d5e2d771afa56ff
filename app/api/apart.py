"""A thread for what waits for a disk or a lock."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Done = TypeVar("Done")


class Apart:
    """Does things in a thread, the same every time, one after the other, while the event loop goes on.

    Not for what computes: it would fight with the event loop for the interpreter, and both take twice as long.
    """

    def __init__(self, name: str):
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __call__(self, work: Callable[[], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Wait for what the thread is at, and end it."""
        self._thread.shutdown()
