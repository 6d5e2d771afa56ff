"""What waits together is done together."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from app.api.gathering import Gathering
from app.api.problems import RefusedError

MOST, LONGEST = 4, 8


class Doubling:
    """Work that remembers its calls, and the threads they came in."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.threads: set[int] = set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.threads.add(threading.get_ident())
        if 0 in items:
            raise ValueError("nought")
        return [2 * item for item in items]


def gathering(work: Callable[[Sequence[int]], Sequence[int]], apart: bool = False) -> Gathering[int, int]:
    return Gathering(work, abs, MOST, LONGEST, apart)


def run(scene: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scene, 10))


async def together(*parts: Awaitable[int]) -> list[int | BaseException]:
    return list(await asyncio.gather(*parts, return_exceptions=True))


@pytest.mark.parametrize("apart", [False, True])
def test_what_waits_together_shares_a_call_up_to_its_weight_in_order(apart: bool) -> None:
    work = Doubling()

    async def scene() -> list[int | BaseException]:
        gathered = gathering(work, apart)
        found = await together(*map(gathered.do, (1, 2, 1, 3)))
        gathered.close()
        return found

    assert run(scene()) == [2, 4, 2, 6]
    assert work.calls == [[1, 2, 1], [3]]


def test_what_weighs_more_than_a_call_is_alone_in_its_own() -> None:
    work = Doubling()

    async def scene() -> list[int | BaseException]:
        gathered = gathering(work)
        return await together(*map(gathered.do, (1, 6, 1)))

    assert run(scene()) == [2, 12, 2]
    assert work.calls == [[1], [6], [1]]


def test_beyond_what_may_wait_it_is_refused_and_the_rest_is_done() -> None:
    async def scene() -> list[int | BaseException]:
        gathered = gathering(Doubling())
        found = await together(*map(gathered.do, (4, 4, 1)))
        return [*found, *await together(gathered.do(1))]

    done, also, refused, later = run(scene())
    assert (done, also, later) == (8, 8, 2)
    assert isinstance(refused, RefusedError)


def test_an_error_reaches_all_of_its_call_and_no_other() -> None:
    async def scene() -> list[int | BaseException]:
        gathered = gathering(Doubling())
        return await together(*map(gathered.do, (2, 0, 2, 3)))

    first, nought, second, other = run(scene())
    assert {type(one) for one in (first, nought, second)} == {ValueError}
    assert other == 6


def test_what_arrives_a_turn_or_two_later_joins() -> None:
    """As connections do of which the event loop accepts one a turn."""
    work = Doubling()

    async def late(gathered: Gathering[int, int], turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await gathered.do(1)

    async def scene() -> list[int | BaseException]:
        gathered = gathering(work)
        return await together(*(late(gathered, 2 * place) for place in range(MOST)))

    assert run(scene()) == [2] * MOST
    assert work.calls == [[1] * MOST]


def test_a_client_that_has_gone_takes_nobody_with_it() -> None:
    async def scene() -> int:
        gathered = gathering(Doubling())
        gone = asyncio.ensure_future(gathered.do(1))
        stays = asyncio.ensure_future(gathered.do(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert run(scene()) == 4


def test_what_computes_is_done_on_the_event_loop_and_what_waits_apart() -> None:
    here, there = Doubling(), Doubling()

    async def scene() -> int:
        gathered, apart = gathering(here), gathering(there, apart=True)
        await together(gathered.do(1), apart.do(1), apart.do(4))
        await apart.aside(lambda: there.threads.add(threading.get_ident()))
        apart.close()
        return threading.get_ident()

    loop = run(scene())
    assert here.threads == {loop}
    assert len(there.threads) == 1
    assert loop not in there.threads


def test_the_event_loop_goes_on_while_work_apart_waits() -> None:
    free = threading.Event()

    def waits(items: Sequence[int]) -> Sequence[int]:
        assert free.wait(5)
        return items

    async def scene() -> int:
        gathered = gathering(waits, apart=True)
        asyncio.get_running_loop().call_later(0.01, free.set)  # only a loop that goes on gets there
        found = await gathered.do(1)
        gathered.close()
        return found

    assert run(scene()) == 1
