"""Modules that a Spark worker has loaded are passed over by garbage collection; what a task leaves is not."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.parts import Part, by_part
from app.core.worker_heap import settle


@pytest.fixture
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_what_comes_later_is_collected_until_something_else_is_loaded() -> None:
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    settle("a bundle")
    kept = gc.get_freeze_count()
    assert kept > 1_000
    ring = Ring()
    gone = weakref.ref(ring)
    settle("a bundle")
    assert gc.get_freeze_count() <= kept
    del ring
    gc.collect()
    assert gone() is None
    later = [Ring() for _ in range(10)]
    settle("another bundle")
    assert not any(one is later[0] for one in gc.get_objects())


def test_a_worker_collects_next_to_nothing_between_tasks(spark: SparkSession, tmp_path: Path) -> None:
    """Spark's daemon collects after each task: 40 ms, where it looks at all modules."""

    def left(part: Part) -> None:
        (tmp_path / str(part.number)).write_text(f"{len(gc.get_objects())}")

    for _ in range(4):  # a worker that is new has settled nothing yet
        by_part(spark, 2, left, tmp_path)
    assert all(int((tmp_path / str(number)).read_text()) < 20_000 for number in range(2))
