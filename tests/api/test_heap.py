"""What the garbage collector leaves out is let go of all the same once a bundle is replaced."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.api.heap import Heap


class Bundle:
    """One that nothing but the collector lets go of."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_all_that_is_there_is_left_out() -> None:
    bundle = Bundle()
    Heap(bundle)
    assert gc.get_freeze_count() > 1_000
    assert not any(one is bundle for one in gc.get_objects())


def test_a_replaced_bundle_goes_at_the_second_look_at_the_new_one() -> None:
    first, second = Bundle(), Bundle()
    heap, gone = Heap(first), weakref.ref(first)
    del first
    heap.look(second)
    assert gone() is not None  # an answer may still be made from it
    heap.look(second)
    assert gone() is None


def test_what_is_made_for_many_answers_is_not_looked_at_while_it_is_made() -> None:
    bundle, looks = Bundle(), list[str]()
    Heap(bundle)
    count = lambda phase, _: looks.append(phase)  # noqa: E731
    gc.callbacks.append(count)
    try:
        answers = [{"rank": rank, "reason": {}} for rank in range(2_000)]
    finally:
        gc.callbacks.remove(count)
    assert len(answers) == 2_000
    assert looks == []


def test_nothing_is_done_while_the_bundle_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle()
    heap = Heap(bundle)
    monkeypatch.setattr(gc, "collect", lambda: pytest.fail("collected"))
    heap.look(bundle)
