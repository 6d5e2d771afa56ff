"""What runs where time is short: the core always, the rest as far as it fits beside the core still to come."""

import time

import pytest

from tests.e2e.conftest import MARGIN, Budget, Stage

STAGES = {"install": Stage(100, core=True), "fault": Stage(50), "census": Stage(100, core=True)}


def test_everything_runs_without_a_limit() -> None:
    budget = Budget(STAGES, None)
    assert [budget.refusal(name) for name in STAGES] == [None] * 3


@pytest.mark.parametrize(("seconds", "runs"), [((50 + 100) * MARGIN + 1, True), ((50 + 100) * MARGIN - 1, False)])
def test_a_stage_runs_if_it_and_the_core_to_come_fit(seconds: float, runs: bool) -> None:
    budget = Budget(STAGES, seconds)
    assert budget.refusal("install") is None
    assert (budget.refusal("fault") is None) == runs
    assert budget.refusal("census") is None  # the core runs whatever is left


def test_a_slow_machine_is_told_from_the_stages_before() -> None:
    budget = Budget(STAGES, (50 + 100) * MARGIN + 1)
    budget.refusal("install")
    budget.ran(STAGES["install"], 200)
    refusal = budget.refusal("fault")
    assert refusal is not None
    assert f"{(50 + 100) * 2 * MARGIN:.0f} s needed" in refusal


def test_what_is_left_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    budget = Budget(STAGES, 1_000)
    monkeypatch.setattr(time, "monotonic", lambda: now + 900)
    assert budget.refusal("fault") is not None
