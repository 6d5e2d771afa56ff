"""What waits together is done together."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from app.api.apart import Apart
from app.api.gathering import Gathering
from app.api.problems import RefusedError

MOST, LONGEST = 4, 8


class Doubling:
    """Work that remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        await asyncio.sleep(0)
        if 0 in items:
            raise ValueError("nought")
        return [2 * item for item in items]


def gathering(work: Callable[[Sequence[int]], Awaitable[Sequence[int]]]) -> Gathering[int, int]:
    return Gathering(work, abs, MOST, LONGEST)


def run(scene: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scene, 10))


async def together(*parts: Awaitable[int]) -> list[int | BaseException]:
    return list(await asyncio.gather(*parts, return_exceptions=True))


def test_what_waits_together_shares_a_call_up_to_its_weight_in_order() -> None:
    work = Doubling()

    async def scene() -> list[int | BaseException]:
        return await together(*map(gathering(work).do, (1, 2, 1, 3)))

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


def test_items_that_take_turns_are_let_in_together_or_not_at_all() -> None:
    """What comes between them may be refused, but not the rest of them."""
    work = Doubling()

    async def scene() -> list[Any]:
        gathered = gathering(work)
        turns = asyncio.create_task(gathered.do_in_turn([4, 4]))
        await asyncio.sleep(0)
        others = [asyncio.create_task(gathered.do(4)), asyncio.create_task(gathered.do(4))]
        found = [await turns, *await asyncio.gather(*others, return_exceptions=True)]
        return [*found, *await asyncio.gather(*(gathered.do_in_turn([4, 4]), gathered.do(1)), return_exceptions=True)]

    both, between, refused, again, also = run(scene())
    assert (both, between, again, also) == ([8, 8], 8, [8, 8], 2)
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


def test_a_wrong_number_of_results_reaches_all_who_wait() -> None:
    async def short(items: Sequence[int]) -> list[int]:
        return [*items][1:]

    async def scene() -> list[int | BaseException]:
        return await together(*map(gathering(short).do, (1, 1)))

    assert [type(one) for one in run(scene())] == [ValueError, ValueError]


def test_the_event_loop_goes_on_while_something_apart_waits() -> None:
    free, threads = threading.Event(), set[int]()

    def waits() -> bool:
        threads.add(threading.get_ident())
        return free.wait(5)

    async def scene() -> list[bool]:
        apart = Apart("test")
        asyncio.get_running_loop().call_later(0.01, free.set)  # only a loop that goes on gets there
        found = [await apart(waits), await apart(waits)]
        apart.close()
        return found

    assert run(scene()) == [True, True]
    assert len(threads) == 1
    assert threading.get_ident() not in threads
