"""What waits together is done together: one call for many requests."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.api.problems import RefusedError

TURNS = 3  #: of the event loop without a newcomer before a call: it takes so many to accept a connection and read it
MOST_TURNS = (
    64  #: before a call, however many newcomers: one connection is accepted a turn, and those of 200 clients wait
)

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    pause
        Least seconds between the beginnings of two calls.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        weight: Callable[[Item], int],
        most: int,
        longest: int,
        pause: float = 0.0,
    ):
        self._work, self._weight, self._most, self._longest, self._pause = work, weight, most, longest, pause
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._load = 0
        self._running: asyncio.Task[None] | None = None
        self._begun = -pause

    async def do(self, item: Item) -> Result:
        """The result for one item: see `do_in_turn`."""
        (result,) = await self.do_in_turn([item])
        return result

    async def do_in_turn(self, items: Sequence[Item]) -> list[Result]:
        """The result for each of some items, which wait for each other, so that others have their turn between them.

        Raises
        ------
        RefusedError
            Too much waits already.
        Exception
            What the function raised.
        """
        if self._load and self._load + sum(map(self._weight, items)) > self._longest:
            raise RefusedError(503, "too many requests wait already; try again in a second", {"Retry-After": "1"})
        return [await self._one(item) for item in items]

    async def _one(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._load += self._weight(item)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

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
                    pairs = zip(taken, await self._work([item for item, _ in taken]), strict=True)
                    answers = [(future, result) for (_, future), result in pairs]
                except Exception as error:
                    for _, future in taken:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for future, result in answers:
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

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        taken = [self._waiting.popleft()]
        total = self._weight(taken[0][0])
        while self._waiting and total + self._weight(self._waiting[0][0]) <= self._most:
            taken.append(self._waiting.popleft())
            total += self._weight(taken[-1][0])
        self._load -= total
        return taken
