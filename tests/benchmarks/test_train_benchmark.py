"""The peer of the training benchmark: it does all its steps, and what is compared is measured alike."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import train
from train import ALIKE, Ran, report

from app.results.run import StageRun
from app.synthetic.shop import generate
from tests.finished_run import finished_run

PEER = Path(train.__file__).with_name("peer.py")


def test_the_peer_runs_every_step(tmp_path: Path) -> None:
    generate(tmp_path / "shop.synthetic.csv", 6_000, 3, days=4)
    command = [sys.executable, str(PEER), "--events", str(tmp_path / "shop.synthetic.csv"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    closing = json.loads(done.stdout.splitlines()[-1])
    assert set(closing["stages"]) == {stage for _, _, yours in ALIKE for stage in yours}
    lists = (tmp_path / "lists.csv").read_text().splitlines()
    assert len(lists) == 10 * closing["active"]
    for metrics in closing["quality"].values():
        assert 0 < metrics["ndcg_10"] <= metrics["hr_10"] <= 1


def test_the_closing_line_holds_both_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    stages = tuple(StageRun(stage=stage, seconds=10.0, rows=None, note="") for _, mine, _ in ALIKE for stage in mine)
    other = {"stages": {"clean": 2.0, "explore": 1.0, "pairs": 1.0, "features": 1.0, "segments": 5.0}, "quality": {}}
    report(
        Ran(100.0, 1000, ""), finished_run().model_copy(update={"stages": stages}), Ran(40.0, 500, json.dumps(other))
    )
    closing = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (closing["ratio"], closing["vitrine_s"], closing["peer_s"]) == (2.5, 100.0, 40.0)
    assert closing["up_to_segments_ratio"] == 5.0  # 10 + 10 + 2 * 10 + 10 against 2 + 1 + 2 + 5
    assert closing["stages"]["clean"] == {"vitrine": 10.0, "peer": 2.0}
