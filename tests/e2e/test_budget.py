"""What runs where time is short: the core always, the rest as far as it fits beside the core still to come."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import ROOT
from tests.e2e.conftest import MARGIN, Budget, Stage

STAGES = {
    "install": Stage(100, core=True),
    "fault": Stage(40),
    "healed": Stage(10, completes="fault"),
    "census": Stage(100, core=True),
}
FAULT = (40 + 10 + 100) * MARGIN  # with what completes it, and the core after it


def test_everything_runs_without_a_limit() -> None:
    budget = Budget(STAGES, None)
    assert [budget.refusal(name) for name in STAGES] == [None] * 4


@pytest.mark.parametrize(("seconds", "runs"), [(FAULT + 1, True), (FAULT - 1, False)])
def test_a_stage_runs_if_it_and_the_core_to_come_fit(seconds: float, runs: bool) -> None:
    budget = Budget(STAGES, seconds)
    assert budget.refusal("install") is None
    assert (budget.refusal("fault") is None) == runs
    assert budget.refusal("census") is None  # the core runs whatever is left
    assert [line.split(":")[0] for line in budget.refused] == ([] if runs else ["fault"])


def test_what_completes_a_stage_that_has_run_runs_and_others_leave_room_for_it() -> None:
    """Else a load, a training or a second stream that one began would go on beside all that come after it."""
    between = {"fault": Stage(40), "other": Stage(40), "healed": Stage(10, completes="fault")}
    for left, both in ((50 * MARGIN + 1, True), (50 * MARGIN - 1, False)):
        budget = Budget(between, 1_000)
        assert budget.refusal("fault") is None
        budget._seconds = left
        assert (budget.refusal("other") is None) == both
        budget._seconds = 0
        assert budget.refusal("healed") is None


def test_a_slow_machine_is_told_from_the_stages_before() -> None:
    budget = Budget(STAGES, FAULT + 1)
    budget.refusal("install")
    budget.ran(Stage(100, telling=False), 900)
    budget.ran(STAGES["install"], 200)
    refusal = budget.refusal("fault")
    assert refusal is not None
    assert f"{2 * FAULT:.0f} s needed" in refusal


def test_what_is_left_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    budget = Budget(STAGES, FAULT + 10)
    monkeypatch.setattr(time, "monotonic", lambda: now + 20)
    assert budget.refusal("fault") is not None


def test_what_did_not_run_is_counted_as_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.e2e.conftest import *\n")
    (tmp_path / "test_stages.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def shop(): raise AssertionError('made for a stage that does not run')\n"
        "@pytest.mark.stage(1, core=True)\ndef test_core(): pass\n"
        "@pytest.mark.stage(1)\ndef test_rest(shop): pass\n"
    )
    command = [sys.executable, "-m", "pytest", str(tmp_path), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    asked = {"E2E_SECONDS": "1", "E2E_SKIPPED": str(tmp_path / "skipped")}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    assert "test_rest: no time: 1 s left, 1 s needed for it and the core" in done.stdout
    (line,) = (tmp_path / "skipped").read_text().splitlines()
    assert line.startswith("test_rest: no time")
