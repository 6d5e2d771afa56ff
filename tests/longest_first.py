"""Workers of pytest-xdist get whole files, the longest first, and their next one as late as can be.

As it is, `--dist loadfile` gives those with the most tests first, and each worker three tests ahead: a file of one long
test came last, or waited behind another while a worker had nothing left to do.
"""

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

#: Files that share a fixture of the session with another.
TOGETHER = {"tests/train/test_forgetting.py": "tests/train/test_training.py"}
#: Seconds of the files whose quick tests take longest, among three workers; `slow` says it of the others.
QUICK = {
    "tests/train/test_training.py": 70,
    "tests/train/test_bad_input.py": 43,
    "tests/jobs/test_jobs.py": 35,
    "tests/train/test_forgetting.py": 30,
    "tests/api/test_browser.py": 25,
    "tests/stream/test_damaged.py": 25,
    "tests/core/test_lease.py": 22,
    "tests/stream/test_rules.py": 22,
    "tests/golden/test_checkpoint.py": 20,
    "tests/monitor/test_influx.py": 20,
    "tests/stream/test_forgetting.py": 20,
    "tests/stream/test_stream.py": 20,
    "tests/stream/test_columns.py": 18,
    "tests/stream/test_starts.py": 18,
    "tests/golden/test_stream.py": 16,
}
AHEAD = 1  #: tests that a worker has besides the one that it runs: it begins none before it knows the next


def unit(nodeid: str) -> str:
    """What a worker gets as a whole: the file of a test, or that which it shares a fixture with."""
    file = nodeid.split("::", 1)[0]
    return TOGETHER.get(file, file)


def sort(items: list[pytest.Item]) -> None:
    """Those that take longest first; within a file all stay where they are."""
    taken, files = Counter[str](), set[str]()
    for item in items:
        if mark := item.get_closest_marker("slow"):
            taken[unit(item.nodeid)] += mark.kwargs["seconds"]
        else:
            files.add(item.nodeid.split("::", 1)[0])
    for file in files:
        taken[unit(file)] += QUICK.get(file, 0)
    items.sort(key=lambda item: -taken[unit(item.nodeid)])


class LongestFirst(LoadFileScheduling):
    """Hands out files in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False
        super().schedule()

    def _reschedule(self, node: WorkerController) -> None:
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= AHEAD:
            super()._reschedule(node)
