"""The end-to-end test within a time.

`E2E_SECONDS` is what it may take; without it everything runs. Stages of the core always run, and those that complete
one that has run. Another runs if it, what completes it, and those stages still to come are likely to fit in what is
left; else it is skipped and says so.
How likely is told from the stages that have run: a slow machine takes longer than their marks say.
"""

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster

MARGIN = 1.2  #: stages differ from run to run


@dataclass(frozen=True)
class Stage:
    """How long a stage takes on a good day, in seconds, and whether it always runs.

    `completes` is the name of an earlier stage that begins what this one looks at: the two run both or neither.
    `telling` is false where the time says little of the machine.
    """

    seconds: float
    core: bool = False
    completes: str = ""
    telling: bool = True


class Budget:
    """What is left of the time."""

    def __init__(self, stages: dict[str, Stage], seconds: float | None):
        self._coming, self._seconds, self._begun = dict(stages), seconds, time.monotonic()
        self._usual = self._taken = 0.0
        self._runs = set[str]()
        self.refused: list[str] = []

    def refusal(self, name: str) -> str | None:
        """Why a stage had better not run, None if it may."""
        stage = self._coming.pop(name, None)
        if stage is None:
            return None
        coming = self._coming.values()
        needed = stage.seconds + sum(other.seconds for other in coming if other.completes == name)
        needed += sum(other.seconds for other in coming if other.core or other.completes in self._runs)
        slowness = max(1.0, self._taken / self._usual) if self._usual else 1.0
        needed *= slowness * MARGIN
        left = math.inf if self._seconds is None else self._seconds - (time.monotonic() - self._begun)
        if stage.core or stage.completes in self._runs or needed <= left:
            self._runs.add(name)
            return None
        reason = f"no time: {left:.0f} s left, {needed:.0f} s needed for it and the core; `make e2e` runs it"
        self.refused.append(f"{name}: {reason}")
        return reason

    def ran(self, stage: Stage, seconds: float) -> None:
        """Learn from a stage that has run."""
        if stage.telling:
            self._usual += stage.seconds
            self._taken += seconds


BUDGET = pytest.StashKey[Budget]()


def stage_of(item: pytest.Item) -> Stage | None:
    mark = item.get_closest_marker("stage")
    return Stage(*mark.args, **mark.kwargs) if mark else None


def pytest_collection_finish(session: pytest.Session) -> None:
    stages = {item.name: stage for item in session.items if (stage := stage_of(item))}
    seconds = os.environ.get("E2E_SECONDS")
    session.config.stash[BUDGET] = Budget(stages, float(seconds) if seconds else None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a stage for which there is no time, before any of its fixtures is made."""
    refusal = item.config.stash[BUDGET].refusal(item.name)
    if refusal:
        pytest.skip(refusal)


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Say how long each stage took, and how the cluster looks where one failed."""
    failed, begun, stage = request.session.testsfailed, time.monotonic(), stage_of(request.node)
    yield
    if stage is None:
        return
    seconds = time.monotonic() - begun
    request.config.stash[BUDGET].ran(stage, seconds)
    print(f"stage {request.node.name}: {seconds:.0f} s")
    if request.session.testsfailed > failed:
        print(Cluster("vitrine").diagnosis())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What did not run, by name."""
    budget = config.stash.get(BUDGET, None)
    if budget and "E2E_SKIPPED" in os.environ:
        Path(os.environ["E2E_SKIPPED"]).write_text("".join(f"{line}\n" for line in budget.refused))
    if budget and budget.refused:
        terminalreporter.section("stages that did not run")
        for line in budget.refused:
            terminalreporter.write_line(line)
