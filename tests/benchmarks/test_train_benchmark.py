"""The peer of the training benchmark: it does all its steps, and what is compared is measured alike."""

import json
import subprocess
import sys
from pathlib import Path

import floor
import pyarrow.parquet as pq
import pytest
import train
from train import ALIKE, Ran, report

from app.results.run import RunResult, StageRun
from app.synthetic.shop import generate
from tests.finished_run import finished_run

FLOOR = Ran(30.0, 800, "")
PEER = Path(train.__file__).with_name("peer.py")


def test_the_peer_runs_every_step(tmp_path: Path) -> None:
    generate(tmp_path / "shop.synthetic.csv", 6_000, 3, days=4)
    command = [sys.executable, str(PEER), "--events", str(tmp_path / "shop.synthetic.csv"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    closing = json.loads(done.stdout.splitlines()[-1])
    assert set(closing["stages"]) == {stage for alike in ALIKE for stage in alike.peer}
    lists = (tmp_path / "lists.csv").read_text().splitlines()
    assert len(lists) == 10 * closing["active"]
    for metrics in closing["quality"].values():
        assert 0 < metrics["ndcg_10"] <= metrics["hr_10"] <= 1


def test_a_log_of_less_than_a_day_is_refused_in_a_line(tmp_path: Path) -> None:
    generate(tmp_path / "all.csv", 3_000, 3, days=4)
    (tmp_path / "shop.csv").write_text("".join((tmp_path / "all.csv").read_text().splitlines(keepends=True)[:200]))
    command = [sys.executable, str(PEER), "--events", str(tmp_path / "shop.csv"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "shop.csv has nothing before its last day" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def result() -> RunResult:
    """A training each of whose stages took ten seconds."""
    stages = [StageRun(stage=stage, seconds=10.0, rows=None, note="") for alike in ALIKE for stage in alike.vitrine]
    return finished_run().model_copy(update={"stages": tuple(stages)})


@pytest.fixture
def peer() -> Ran:
    other = {"stages": {"clean": 2.0, "explore": 1.0, "pairs": 1.0, "features": 1.0, "segments": 5.0}, "quality": {}}
    return Ran(40.0, 500, json.dumps(other))


@pytest.mark.slow(seconds=15)
def test_sparks_floor_is_the_log_by_user(tmp_path: Path, production: None) -> None:
    generate(tmp_path / "shop.synthetic.csv", 6_000, 3, days=4)
    command = [sys.executable, floor.__file__, "--events", str(tmp_path / "shop.synthetic.csv"), "--output"]
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    closing = json.loads(done.stdout.splitlines()[-1])
    assert closing["seconds"] == pytest.approx(sum(closing["stages"].values()))
    parts = [
        set(pq.read_table(file, columns=["user_id"])["user_id"].to_pylist())
        for file in (tmp_path / "out").glob("*.parquet")
    ]
    assert len(parts) > 1
    assert sum(map(len, parts)) == len(set().union(*parts)), "a user is in one part"
    rows = sum(pq.read_metadata(file).num_rows for file in (tmp_path / "out").glob("*.parquet"))
    assert rows == 6_000


def test_the_closing_line_holds_both_beside_each_other(
    capsys: pytest.CaptureFixture[str], result: RunResult, peer: Ran
) -> None:
    report(Ran(100.0, 1000, ""), result, peer, FLOOR)
    closing = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (closing["ratio"], closing["vitrine_s"], closing["peer_s"]) == (2.5, 100.0, 40.0)
    assert closing["floor_s"] == 30.0
    assert closing["up_to_segments_ratio"] == 5.0  # 10 + 10 + 2 * 10 + 10 against 2 + 1 + 2 + 5
    assert closing["stages"]["clean"] == {"vitrine": 10.0, "peer": 2.0}
    assert not [name for name in closing if name.startswith("brief")]


def test_the_brief_is_a_second_baseline(capsys: pytest.CaptureFixture[str], result: RunResult, peer: Ran) -> None:
    stages = {"clean": 4.0, "features": 5.0, "index": 3.0, "train": 25.0, "save": 90.0}
    report(Ran(100.0, 1000, ""), result, peer, FLOOR, Ran(400.0, 8000, json.dumps({"stages": stages})))
    *table, last = capsys.readouterr().out.splitlines()
    closing = json.loads(last)
    assert (closing["brief_ratio"], closing["brief_s"], closing["brief_peak_mb"]) == (0.25, 400.0, 8000)
    assert (closing["ratio"], closing["up_to_segments_ratio"]) == (2.5, 5.0), "the peer's, as without"
    assert closing["stages"]["pairs and features"] == {"vitrine": 20.0, "peer": 2.0, "brief": 8.0}
    lines = {line[:30].strip(): line[30:].split() for line in table}
    assert lines["stage"] == ["Vitrine", "s", "peer", "s", "ratio", "brief", "s", "ratio"]
    assert lines["clean"] == ["10.0", "2.0", "5.00", "4.0", "2.50"]
    assert lines["train on everything"] == ["10.0", "0.0", "0.0"], "no ratio to what was not done"
    assert lines["whole process"] == ["100.0", "40.0", "2.50", "400.0", "0.25"]
    assert lines["peak memory, MB"] == ["1,000", "500", "2.00", "8,000", "0.12"]
