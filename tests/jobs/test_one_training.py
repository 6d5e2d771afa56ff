"""Of two trainings on one output, one gives way."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.errors import EXIT_BAD_INPUT, InputError, VitrineError
from app.core.files import WORK
from app.core.lease import training_lease
from app.core.settings import Settings
from app.jobs import run
from app.jobs.run import NEEDED_LATER, imported_meanwhile, run_training
from app.registry.bundle import Bundle
from app.registry.registry import Registry
from app.synthetic import generate
from tests.api.client import ROOT
from tests.jobs.test_resume import QUICK
from tests.stream.shop import recommender, until, write_bundle


def test_a_second_training_on_an_output_gives_way(tmp_path: Path) -> None:
    """However the first was started; it is told before Spark is."""
    lease = training_lease(tmp_path / "out")
    lease.acquire(wait=False, say=print)
    try:
        with pytest.raises(InputError, match=r"training on .*out: process \d+ on .* is at work there"):
            run_training(Settings(output=tmp_path / "out"))
    finally:
        lease.release()


def test_a_training_that_was_replaced_while_paused_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"

    def trained(*_: object, check: Callable[[], object]) -> None:
        old = write_bundle(models, "old", recommender(), publish=False)
        Registry(models).publish(write_bundle(models, "in-time", recommender(), publish=False).name)
        (tmp_path / ".training" / "e000002").write_text("{}")  # of another, while this one stood still
        Registry(models).publish(old.name, check)

    monkeypatch.setattr("app.train.run.train", lambda *parts: trained(*parts[:-1], check=parts[-1]))
    monkeypatch.setattr(run, "_run", lambda work, _, settings, **__: work(None, settings, None, print))
    with pytest.raises(VitrineError, match="has taken over"):
        run_training(Settings(output=tmp_path))
    assert Registry(models).history() == ["in-time"]
    Registry(models).publish("old")  # by hand, as ever


def test_what_is_needed_later_is_imported_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_one.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with imported_meanwhile(["is_not_there", "late_one"]):  # what is missing is told by who needs it
        pass
    assert sys.modules.pop("late_one")


def test_before_spark_starts_nothing_is_imported_that_can_wait() -> None:
    """It is imported while Spark starts, on another core."""
    program = "import sys, app.jobs.run, app.learn.recommender as _; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {*NEEDED_LATER} & {*ran.stdout.split()}


class Training:
    """`vitrine train`, as it is started by hand."""

    def __init__(self, events: Path, output: Path):
        command = [sys.executable, "-m", "app.cli", "train", "--events", str(events), "--output", str(output)]
        self.log = output.with_name(f"{len(list(output.parent.glob('*.log')))}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | QUICK, stdout=subprocess.DEVNULL, stderr=log
            )

    def said(self) -> list[str]:
        return self.log.read_text().splitlines()

    def gave_way(self, output: Path, holder: "Training") -> None:
        """In one line that names the other."""
        (line,) = self.said()
        assert re.match(rf"error: training on {output}: process {holder.process.pid} on \S+ is at work there", line)
        assert self.process.returncode == EXIT_BAD_INPUT


@pytest.mark.slow(seconds=40)
def test_two_trainings_started_at_once_and_a_third_amid_them(tmp_path: Path) -> None:
    events, output = tmp_path / "shop.synthetic.csv", tmp_path / "out"
    generate(events, 6_000, 3, days=6)
    two = [Training(events, output) for _ in range(2)]
    until(lambda: any(training.process.poll() is not None for training in two), "one gives way")
    (second,) = (training for training in two if training.process.poll() is not None)
    (first,) = (training for training in two if training is not second)
    second.gave_way(output, first)
    until(lambda: any("clean" in line for line in first.said()), "the first is at work")
    third = Training(events, output)
    third.process.wait(60)
    third.gave_way(output, first)
    assert first.process.wait(240) == 0, first.said()
    (version,) = Registry(output / "models").history()
    assert Bundle.open(output / "models" / version).version == version  # its checksums are right
    assert [path.name for path in (output / "models").iterdir() if path.is_dir()] == [version]
    assert json.loads((output / "run.json").read_text())["version"] == version
    assert len(list((output / "processed").glob("cleaned_data_*"))) == 1
    assert not list(output.glob(f"{WORK}*"))
