"""A training that was killed goes on from its finished stages, and finds what it would have found."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.sql import SparkSession

from app.core.errors import EXIT_BAD_INPUT, VitrineError
from app.core.files import WORK
from app.core.folders import CLEANED
from app.core.progress import Progress
from app.core.settings import Settings
from app.events.merged_users import MergedUsers
from app.registry.registry import Registry
from app.synthetic import generate
from app.train import run as run_module
from app.train.context import Run
from app.train.resume import ASKED, FINISHED, Finished, asked_for, killed_run
from tests.api.client import ROOT
from tests.small_spark import SMALL_MODELS, SMALL_SPARK

QUICK = SMALL_MODELS | {"VITRINE_GENERATORS": "als,popularity,session_walk"}


def train(events: Path, output: Path, *flags: str, kill_at: str | None = None, java_alone: bool = False) -> list[str]:
    """What a training said; killed once it says that a stage begins, if one is given: Spark's Java alone, or all."""
    command = [sys.executable, "-m", "app.cli", "train", "--events", str(events), "--output", str(output), *flags]
    environment = os.environ | SMALL_SPARK | QUICK
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.rstrip())
        if kill_at is not None and f" {kill_at} …" in line:
            if java_alone:
                os.kill(child_of(process.pid, "java"), signal.SIGKILL)
            else:
                os.killpg(process.pid, signal.SIGKILL)
    ended = EXIT_BAD_INPUT if java_alone else -signal.SIGKILL
    assert process.wait(60) == (0 if kill_at is None else ended), said
    return said


def child_of(process: int, name: str) -> int:
    """The child process of that name."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(child) for child in children if Path(f"/proc/{child}/comm").read_text().strip() == name)


def found(output: Path) -> dict[str, Any]:
    """Figures of the run, without its times and places."""
    result = json.loads((output / "run.json").read_text())
    result["stages"] = [(stage["stage"], stage["rows"]) for stage in result["stages"]]
    return {name: value for name, value in result.items() if name not in ("version", "created", "paths")}


def lists(output: Path) -> pa.Table:
    table = pq.read_table(next((output / "recommendations").iterdir()))
    return table.drop_columns(["model_version", "generated_at"]).sort_by(
        [("user_id", "ascending"), ("rank", "ascending")]
    )


@pytest.mark.slow(seconds=70)
def test_a_killed_training_goes_on_with_the_same_result(tmp_path: Path) -> None:
    events, killed, undisturbed = tmp_path / "shop.synthetic.csv", tmp_path / "killed", tmp_path / "undisturbed"
    generate(events, 6_000, 3, days=6)
    train(events, killed, kill_at="learn the ranker")
    assert not (killed / "run.json").exists()
    said = train(events, killed, "--resume", kill_at="train on everything and publish", java_alone=True)
    assert any("--resume goes on" in line for line in said), said
    assert "Java process was killed" in said[-1]
    assert sum(": done before, in" in line for line in said) == 8, said  # up to "train before the test slice"
    said = train(events, killed, "--resume", kill_at="lists for active users")
    assert sum(": done before, in" in line for line in said) == 10, said
    (scratch,) = killed.glob(f"{WORK}*")
    (scratch / f"bundle{FINISHED}").unlink()  # as if it had been killed just after it had published
    said = train(events, killed, "--resume")
    assert sum(": done before, in" in line for line in said) == 10, said
    assert len(Registry(killed / "models").history()) == len(list((killed / "models").glob("2*"))) == 1
    assert not list(killed.glob(f"{WORK}*"))
    train(events, undisturbed)
    assert found(killed) == found(undisturbed)
    assert lists(killed) == lists(undisturbed)


def test_only_a_run_that_was_asked_the_same_is_gone_on_with(spark: SparkSession, tmp_path: Path) -> None:
    events = tmp_path / "shop.csv"
    events.write_text("x\n")
    settings = Settings(events=str(events), output=tmp_path / "out")
    asked, said = asked_for(spark, settings), list[str]()
    assert killed_run(settings, asked, said.append) is None
    assert said.pop() == "no training that was killed is left here; starting anew"
    folder = settings.output / f"{WORK}20260102_030405"
    Finished(folder, spark, Progress(1, said.append)).begin(asked)
    began = killed_run(settings, asked, said.append)
    assert began is not None
    assert (began.isoformat(), said) == ("2026-01-02T03:04:05+00:00", [])
    assert (
        killed_run(settings, asked | {"champion": "20260102_030405"}, said.append) == began
    )  # it published that itself
    assert killed_run(settings, asked | {"champion": "20260102_030400"}, said.append) is None
    assert said == [f"{folder.name}: was asked for something else (champion); starting anew"]
    said.clear()
    events.write_text("longer\n")
    other = settings.model_copy(update={"segments": 7})
    assert killed_run(other, asked_for(spark, other), said.append) is None
    assert said == [f"{folder.name}: was asked for something else (settings, files); starting anew"]
    without = Settings(output=settings.output)
    Finished(folder, spark, Progress(1, said.append)).begin(asked_for(spark, without))
    assert killed_run(without, asked_for(spark, without), said.append) == began
    with (merged := MergedUsers(settings.output)).alone():
        merged.add(1, 2, "2", 5.0)
    assert killed_run(without, asked_for(spark, without), said.append) is None
    assert said.pop() == f"{folder.name}: was asked for something else (merged_until); starting anew"
    Finished(folder, spark, Progress(1, said.append)).begin(asked_for(spark, without))
    spark.range(1).write.parquet(str(settings.output / "processed" / f"{CLEANED}20260102_030500"))
    assert killed_run(without, asked_for(spark, without), said.append) is None
    assert said.pop() == f"{folder.name}: was asked for something else (cleaned); starting anew"
    (folder / ASKED).unlink()  # of an exploration, say
    assert killed_run(settings, asked, said.append) is None


def test_a_finished_stage_is_not_done_again_and_a_half_made_table_is(spark: SparkSession, tmp_path: Path) -> None:
    said = list[str]()

    def run() -> Finished:
        return Finished(tmp_path, spark, Progress(2, said.append))

    def stage(finished: Finished, name: str, fails: bool = False) -> tuple[str, SparkSession]:
        with finished.progress.stage(name) as stage:
            stage.rows = 3
            (tmp_path / name).mkdir()
            assert not fails
        return name, spark

    first = run()
    assert first.once("one", lambda: stage(first, "one"), tmp_path / "one") == ("one", spark)
    with pytest.raises(AssertionError):
        first.once("two", lambda: stage(first, "two", fails=True), tmp_path / "two")
    second = run()
    assert second.once("one", lambda: pytest.fail("done again"), tmp_path / "one") == ("one", spark)
    assert (tmp_path / "one").is_dir()
    assert second.once("two", lambda: stage(second, "two"), tmp_path / "two") == ("two", spark)
    assert [(done.stage, done.rows) for done in second.progress.stages] == [("one", 3), ("two", 3)]
    assert sum("one: done before" in line for line in said) == 1


def replaced() -> None:
    raise VitrineError("another has taken over")


def test_a_replaced_training_begins_no_stage_and_deletes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """Whoever goes on from it works in the same folder."""
    run = Finished(tmp_path / "scratch", spark, Progress(1, print), replaced)
    run.begin({})
    (made := run.folder / "made").mkdir()
    with pytest.raises(VitrineError, match="taken over"):
        run.once("one", lambda: pytest.fail("was begun"), made)
    late = Finished(run.folder, spark, run.progress, Mock(side_effect=[None, VitrineError("another has taken over")]))
    with pytest.raises(VitrineError, match="taken over"):
        late.once("two", lambda: "replaced meanwhile")
    assert not (run.folder / f"two{FINISHED}").exists()
    run.drop()
    assert made.is_dir()
    Finished(run.folder, spark, run.progress).drop()
    assert not run.folder.exists()


@pytest.mark.parametrize("gone", [ConnectionRefusedError(), Py4JNetworkError()])
def test_without_sparks_java_process_the_finished_stages_are_kept(tmp_path: Path, gone: Exception) -> None:
    class Dead:
        @property
        def version(self) -> str:
            raise gone

    said = list[str]()
    run = Finished(tmp_path / f"{WORK}1", cast(SparkSession, Dead()), Progress(1, said.append))
    run.begin({})
    assert run.once("one", lambda: 1) == 1
    run.drop()
    assert run.once("one", lambda: pytest.fail("done again")) == 1
    assert said == [f"{WORK}1 is kept: the same command with --resume goes on from there"]
    (run.folder / ASKED).unlink()  # an exploration can't be gone on with
    run.drop()
    assert not run.folder.exists()


def test_a_training_looks_before_its_first_stage_and_before_its_report(spark: SparkSession, tmp_path: Path) -> None:
    events, now = tmp_path / "shop.synthetic.csv", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    generate(events, 200, 3, days=2)
    settings = Settings(events=str(events), output=tmp_path / "out")
    with pytest.raises(VitrineError, match="taken over"):
        run_module.train(spark, settings, now, print, replaced)
    assert (settings.output / f"{WORK}20260102_030405" / ASKED).is_file()
    assert not (settings.output / "processed").exists()
    run = Run.start(spark, settings, now, 1, print, replaced)
    with pytest.raises(VitrineError, match="taken over"):
        run_module._finish(run, Mock())
