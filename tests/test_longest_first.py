"""Which tests a worker gets, and when."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import longest_first
from tests.longest_first import QUICK, TOGETHER, LongestFirst, needs_session, sort, unit

ROOT = Path(__file__).parents[1]
COLLECTED = ["long.py::a", "many.py::a", "many.py::b", "many.py::c", "short.py::a", "last.py::a"]


class Worker:
    """One that notes what it is sent."""

    def __init__(self):
        self.tests, self.shutting_down = list[str](), False
        self.gateway = SimpleNamespace(id=0)

    def send_runtest_some(self, indices: list[int]) -> None:
        self.tests += [COLLECTED[index] for index in indices]

    def shutdown(self) -> None:
        self.shutting_down = True


def test_files_are_handed_out_in_order_and_as_late_as_can_be() -> None:
    option = SimpleNamespace(loadscopereorder=True, markexpr="not slow")  # as it is: those with the most tests first
    scheduler = LongestFirst(SimpleNamespace(getvalue=lambda name: ["popen"] * 2, option=option))
    one, other = Worker(), Worker()
    for worker in (one, other):
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, COLLECTED)
    scheduler.schedule()
    assert one.tests == ["long.py::a", "short.py::a"], "a worker runs a test once it knows the next"
    assert other.tests == ["many.py::a", "many.py::b", "many.py::c"]
    scheduler.mark_test_complete(other, 1)
    assert len(other.tests) == 3, "two are left, so that another worker may still get the last file"
    scheduler.mark_test_complete(other, 2)
    assert other.tests[3:] == ["last.py::a"]
    assert not other.shutting_down
    scheduler.mark_test_complete(other, 3)
    assert other.shutting_down


def test_one_of_three_begins_without_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longest_first, "needs_session", lambda file: file in ("many.py", "last.py"))
    option = SimpleNamespace(loadscopereorder=True, markexpr="not slow")
    scheduler = LongestFirst(SimpleNamespace(getvalue=lambda name: ["popen"] * 3, option=option))
    workers = [Worker() for _ in range(3)]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, COLLECTED)
    scheduler.schedule()
    assert [worker.tests[0] for worker in workers] == ["many.py::a", "last.py::a", "long.py::a"]
    assert workers[1].tests[1:] == ["short.py::a"], "it takes what is left, and nobody has to wait"


def test_what_asks_for_a_session_is_known_by_its_text() -> None:
    assert needs_session("tests/stream/test_rules.py")
    assert needs_session("tests/train/test_forgetting.py")
    assert not needs_session("tests/core/test_lease.py")
    assert not needs_session("no.py")


def item(nodeid: str, seconds: float | None = None) -> SimpleNamespace:
    mark = None if seconds is None else SimpleNamespace(kwargs={"seconds": seconds})
    return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: mark)


def test_those_that_take_longest_come_first_and_a_file_stays_together() -> None:
    (partner, leader), *_ = TOGETHER.items()
    items = [item("a.py::x"), item("b.py::x", 20), item("b.py::y"), item("b.py::z", 30), item("c.py::x", 40)]
    items += [item(f"{partner}::x"), item(f"{leader}::x")]
    sort(items)
    assert [one.nodeid for one in items] == [
        *(f"{partner}::x", f"{leader}::x"),
        *("b.py::x", "b.py::y", "b.py::z", "c.py::x", "a.py::x"),
    ]
    assert unit(f"{partner}::x[1::2]") == unit(f"{leader}::y") == leader


def test_the_files_that_are_named_are_there() -> None:
    assert [file for file in {*QUICK, *TOGETHER, *TOGETHER.values()} if not (ROOT / file).is_file()] == []
