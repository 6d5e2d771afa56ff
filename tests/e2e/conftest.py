"""The end-to-end test within a time.

`E2E_SECONDS` is what it may take; without it everything runs. Stages marked as core always run. Another runs
if the core stages still to come, and it, are likely to fit in what is left; else it is skipped and says so.
How likely is told from the stages that have run: a slow machine takes longer than their marks say.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.cluster import Cluster

NOT_RUN = pytest.StashKey[list[str]]()
MARGIN = 1.2  #: stages differ from run to run


@dataclass(frozen=True)
class Stage:
    """How long a stage takes on a good day, in seconds, and whether it always runs."""

    seconds: float
    core: bool = False


class Budget:
    """What is left of the time."""

    def __init__(self, stages: dict[str, Stage], seconds: float | None):
        self._coming, self._seconds, self._begun = dict(stages), seconds, time.monotonic()
        self._usual = self._taken = 0.0

    def refusal(self, name: str) -> str | None:
        """Why a stage had better not run, None if it may."""
        stage = self._coming.pop(name, None)
        if stage is None or stage.core or self._seconds is None:
            return None
        left = self._seconds - (time.monotonic() - self._begun)
        slowness = max(1.0, self._taken / self._usual) if self._usual else 1.0
        core = sum(other.seconds for other in self._coming.values() if other.core)
        needed = (stage.seconds + core) * slowness * MARGIN
        if needed <= left:
            return None
        return f"no time: {left:.0f} s left, {needed:.0f} s needed for it and the core; `make e2e` runs it"

    def ran(self, stage: Stage | None, seconds: float) -> None:
        """Learn from a stage that has run."""
        if stage is not None:
            self._usual += stage.seconds
            self._taken += seconds


def stage_of(item: pytest.Item) -> Stage | None:
    mark = item.get_closest_marker("stage")
    return Stage(*mark.args, **mark.kwargs) if mark else None


@pytest.fixture(scope="session")
def budget(request: pytest.FixtureRequest) -> Budget:
    stages = {item.name: stage for item in request.session.items if (stage := stage_of(item))}
    seconds = os.environ.get("E2E_SECONDS")
    return Budget(stages, float(seconds) if seconds else None)


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest, budget: Budget) -> Iterator[None]:
    """Skip a stage for which there is no time; say how long each took, and how the cluster looks where one failed."""
    refusal = budget.refusal(request.node.name)
    if refusal:
        request.config.stash.setdefault(NOT_RUN, []).append(f"{request.node.name}: {refusal}")
        pytest.skip(refusal)
    failed, begun = request.session.testsfailed, time.monotonic()
    yield
    seconds = time.monotonic() - begun
    budget.ran(stage_of(request.node), seconds)
    print(f"stage {request.node.name}: {seconds:.0f} s")
    if request.session.testsfailed > failed:
        print(Cluster("vitrine").diagnosis())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What did not run, by name."""
    if not_run := config.stash.get(NOT_RUN, []):
        terminalreporter.section("stages that did not run")
        for line in not_run:
            terminalreporter.write_line(line)
