"""What the garbage collector leaves out is let go of all the same once a bundle is replaced."""

import gc
import platform
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from app.api.heap import Heap
from tests.api.client import ROOT


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


PAGES = """
import resource
import numpy as np
from app.api.heap import Heap

class Bundle:
    pass

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [np.ones(1 << 18) for _ in range(8)]  # two megabytes each
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

bundle = Bundle()
faults()
given_back = faults()
heap = Heap(bundle)
faults()
print(given_back, faults())
"""


def test_what_arrays_leave_is_kept_for_the_next() -> None:
    said = subprocess.run([sys.executable, "-c", PAGES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    given_back, kept = map(int, said.split())
    assert kept < 100
    if platform.libc_ver()[0] == "glibc":
        assert given_back > 20_000, "nothing was tested"


def test_nothing_is_done_while_the_bundle_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle()
    heap = Heap(bundle)
    monkeypatch.setattr(gc, "collect", lambda: pytest.fail("collected"))
    heap.look(bundle)
