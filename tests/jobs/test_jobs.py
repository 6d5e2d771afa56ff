"""The commands and jobs as processes: exit codes, one error line, JSON on standard output alone.

What they do with each kind of bad input, a full disk among them, is in test_bad_input.py; here it is seen through
the whole program, JVM and Python workers included.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.core.errors import InputError
from app.core.folders import Output
from app.events.vocabulary import RAW_COLUMNS
from app.registry import bundle
from app.registry.registry import Registry
from app.synthetic import generate
from tests.api.everywhere import sources_everywhere
from tests.registry.bundles import Entries
from tests.small_spark import SMALL_MODELS

BIN = Path(sys.executable).parent
TRAIN_JOB = Path(__file__).resolve().parents[2] / "app" / "jobs" / "train.py"
NOISE = re.compile(r"netlib|Traceback|at org\.apache|at java\.|Caused by|Exception|\.py\", line")
Done = subprocess.CompletedProcess[str]
SMALL = SMALL_MODELS | {"VITRINE_SHUFFLE_PARTITIONS": "2"}


def vitrine(*arguments: str | Path, **variables: str) -> Done:
    command = [BIN / "vitrine", *arguments]
    if arguments[0] in ("train", "explore", "segments"):
        command += ["--master", "local[2]", "--driver-memory", "1g"]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=400, env=os.environ | SMALL | variables
    )


def submit(**variables: str) -> Done:
    """`spark-submit app/jobs/train.py`, as in an activated environment."""
    environment = os.environ | SMALL | variables | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    command = [str(BIN / "spark-submit"), "--master", "local[2]", "--driver-memory", "1g", str(TRAIN_JOB)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)


def error_line(done: Done) -> str:
    """The one line of an error that the user can mend."""
    assert done.returncode == 2, done.stderr
    assert not NOISE.search(done.stdout + done.stderr), done.stderr
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    return errors[0]


def rows(count: int, bad: int = 0) -> str:
    lines = [
        f"2019-10-{1 + i * 14 // count:02} 10:{i // 60 % 60:02}:{i % 60:02} UTC,"
        f"{'purchase' if i % 9 == 0 else 'view'},{100 + i % 40},7,a.b,acme,{'10' if i else 'NaN'},"
        f"{'x' if i < bad else i % 60},s{i % 120}"
        for i in range(count)
    ]
    return "\n".join([",".join(RAW_COLUMNS), *lines]) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.synthetic.csv"
    generate(path, 6_000, 3, days=8)
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_json_is_all_there_is_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(rows(2_000, bad=2))
    arguments = ("--events", tmp_path / "in.csv", "--output", tmp_path / "out", "--json")
    done = vitrine("explore", *arguments, VITRINE_SHUFFLE_PARTITIONS="1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    reasons = {"missing or invalid user_id": 2}
    rows_read = {"read": 2_000, "kept": 1_998, "duplicates": 0, "rejected": 2, "reasons": reasons, "left_out": {}}
    assert found["cleaning"] == rows_read
    assert Path(found["paths"]["report"]).is_file()
    assert Path(found["paths"]["rejected"]).is_dir()
    assert found == json.loads(Path(found["paths"]["run"]).read_text())
    lines = done.stderr.splitlines()
    assert [line for line in lines if re.match(r"\[ ?\d+/\d+\] clean .* 2,000 rows", line)]
    assert not NOISE.search(done.stderr)


@pytest.mark.slow(seconds=25)
def test_a_log_with_a_single_user(tmp_path: Path) -> None:
    """Too little to learn from: it works, or says so in one line."""
    text = rows(30)
    lines = [",".join([*line.split(",")[:7], "5", "s"]) for line in text.splitlines()[1:]]
    (tmp_path / "in.csv").write_text("\n".join([",".join(RAW_COLUMNS), *lines]) + "\n")
    done = vitrine("train", "--events", tmp_path / "in.csv", "--output", tmp_path / "out")
    assert done.returncode in (0, 2), done.stderr
    assert not NOISE.search(done.stderr), done.stderr


def test_a_full_disk_while_writing_the_bundle(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from app.jobs.guard import guarded

    def fill(folder: Path) -> None:
        np.save(folder / "users.npy", np.zeros(600_000, np.int8))

    models = small_disk / "models"
    Registry(models).publish(Registry(models).add("a", Entries(), fill).name)
    with pytest.raises(SystemExit) as ended, guarded():
        Registry(models).add("b", Entries(), fill)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: the disk is full")
    assert Registry(models).champion() == models / "a"
    bundle.verify(models / "a")
    assert sorted(path.name for path in models.iterdir()) == [".lock", "CURRENT", "a"]


def test_a_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match=r"^output folder .*out: cannot be written to \(Read-only"):
        Output(small_disk / "out").prepare()


def test_no_java(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(rows(1))
    done = vitrine("explore", "--events", tmp_path / "x.csv", "--output", tmp_path / "out", JAVA_HOME="/nonexistent")
    assert "Java 17 or later" in done.stderr.splitlines()[-1]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.slow(seconds=40)
@pytest.mark.usefixtures("production")
def test_spark_submit_trains(shop: Path, tmp_path: Path) -> None:
    done = submit(VITRINE_EVENTS=str(shop), VITRINE_OUTPUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6,000 rows read" in done.stdout
    champion = Registry(tmp_path / "out" / "models").champion()
    assert champion is not None
    assert bundle.Bundle.open(champion).manifest.synthetic
    assert sources_everywhere(champion, tmp_path / "out") >= {"session_walk", "item_graph"}
    assert not list((tmp_path / "out").glob(".work-*"))
    assert not NOISE.search(done.stdout + done.stderr)


def test_spark_submit_with_a_missing_log(tmp_path: Path) -> None:
    done = submit(VITRINE_EVENTS=str(tmp_path / "no.csv"), VITRINE_OUTPUT=str(tmp_path / "out"))
    assert "no.csv: no such file or folder" in error_line(done)


def test_the_job_with_a_misspelt_variable(tmp_path: Path) -> None:
    """Told before Spark is needed, so without spark-submit, which the test above goes through."""
    environment = os.environ | {"VITRINE_OUTPTU": str(tmp_path)}
    done = subprocess.run([sys.executable, TRAIN_JOB], capture_output=True, text=True, timeout=400, env=environment)
    assert "did you mean VITRINE_OUTPUT?" in error_line(done)
