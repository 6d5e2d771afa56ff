"""Workers of pytest-xdist get whole files, the longest first, and their next one as late as can be.

As it is, `--dist loadfile` gives those with the most tests first, and each worker three tests ahead: a file of one long
test came last, or waited behind another while a worker had nothing left to do.

Of three workers or more, one begins with the files that need no session of Spark: with luck it never makes one, which
takes some ten seconds until it and Spark's Python workers are warm.
"""

import re
from collections import Counter
from functools import cache
from pathlib import Path

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
ROOT = Path(__file__).parents[1]
SESSION = re.compile(r"SparkSession|live: Running|trained: Shop|fitted: Fitted")  #: in files that need one
AHEAD = 1  #: tests that a worker has besides the one that it runs: it begins none before it knows the next


def unit(nodeid: str) -> str:
    """What a worker gets as a whole: the file of a test, or that which it shares a fixture with."""
    file = nodeid.split("::", 1)[0]
    return TOGETHER.get(file, file)


@cache
def needs_session(file: str) -> bool:
    """Whether tests of the file ask for the session of Spark."""
    return (ROOT / file).is_file() and bool(SESSION.search((ROOT / file).read_text()))


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

    def _assign_work_unit(self, node: WorkerController) -> None:
        # Slow tests start programs of their own.
        if len(self.nodes) > 2 and self.config.option.markexpr == "not slow":
            wanted = node is not self.nodes[-1]
            fitting = (file for file in self.workqueue if needs_session(file) == wanted)
            self.workqueue.move_to_end(next(fitting, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= AHEAD:
            super()._reschedule(node)
