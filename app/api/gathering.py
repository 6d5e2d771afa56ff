"""What waits together is done together: one call for many requests."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from app.api.problems import RefusedError

TURNS = 3  #: of the event loop without a newcomer before a call: it takes so many to accept a connection and read it
MOST_TURNS = (
    64  #: before a call, however many newcomers: one connection is accepted a turn, and those of 200 clients wait
)

Item = TypeVar("Item")
Result = TypeVar("Result")
Done = TypeVar("Done")


class Gathering(Generic[Item, Result]):
    """Hands all that waits to one function, in the order in which it came.

    While the function works, requests gather for its next call: without load each is alone and waits for nothing; the
    more there are, the more of them share a call.

    Parameters
    ----------
    work
        Gives a result for each item.
    weight
        Of an item.
    most
        Weight of one call; an item that weighs more is alone in its call.
    longest
        Weight that may wait; beyond it, requests are refused.
    apart
        Whether the function is called in a thread, the same every time, because it waits for a disk or a lock. What
        computes is called on the event loop: a thread would fight with it for the interpreter, and answers took twice
        as long.
    pause
        Least seconds between the beginnings of two calls.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        weight: Callable[[Item], int],
        most: int,
        longest: int,
        apart: bool = False,
        pause: float = 0.0,
    ):
        self._work, self._weight, self._most, self._longest, self._pause = work, weight, most, longest, pause
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._load = 0
        self._running: asyncio.Task[None] | None = None
        self._begun = -pause
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gathering") if apart else None

    async def do(self, item: Item) -> Result:
        """The result for one item.

        Raises
        ------
        RefusedError
            Too much waits already.
        Exception
            What the function raised.
        """
        if self._load and self._load + self._weight(item) > self._longest:
            raise RefusedError(503, "too many requests wait already; try again in a second", {"Retry-After": "1"})
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._load += self._weight(item)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def aside(self, work: Callable[[], None]) -> None:
        """Do something else where the function is called, between two calls."""
        await self._call(work)

    def close(self) -> None:
        """Wait for what the thread is at, and end it."""
        if self._thread is not None:
            self._thread.shutdown()

    async def _run(self) -> None:
        try:
            while self._waiting:
                wait = self._begun + self._pause - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                await self._joined()
                self._begun = time.monotonic()
                taken = self._take()
                try:
                    results = await self._call(partial(self._work, [item for item, _ in taken]))
                except Exception as error:
                    for _, future in taken:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), result in zip(taken, results, strict=True):
                    if not future.done():  # its client has gone
                        future.set_result(result)
        finally:
            self._running = None

    async def _joined(self) -> None:
        """Let answers be sent, and what has arrived join what waits."""
        idle = 0
        for _ in range(MOST_TURNS):
            before = self._load
            await asyncio.sleep(0)
            idle = idle + 1 if self._load == before else 0
            if idle == TURNS:
                return

    async def _call(self, work: Callable[[], Done]) -> Done:
        if self._thread is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        taken = [self._waiting.popleft()]
        total = self._weight(taken[0][0])
        while self._waiting and total + self._weight(self._waiting[0][0]) <= self._most:
            taken.append(self._waiting.popleft())
            total += self._weight(taken[-1][0])
        self._load -= total
        return taken
