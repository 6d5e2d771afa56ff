"""Trainings watched from outside, and how what they took grows: against a program whose stages are known."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import scale
from scale import Size
from watched import StageCost, watched

#: Two stages; the first one spills 3 MB by DuckDB and 2 MB by Spark, while folders come and go beside it.
TRAINING = """
import json, os, shutil, sys, time
from pathlib import Path
output = Path(sys.argv[1])
say = lambda line: print(line, file=sys.stderr, flush=True)
say("[ 1/2] clean …")
(output / "work").mkdir(parents=True)
(output / "work" / "duckdb_temp_storage_1.tmp").write_bytes(bytes(3 * 2**20))
ends = time.monotonic() + 1.2
while time.monotonic() < ends:
    for number in range(50):
        (output / "gone" / str(number)).mkdir(parents=True)
    shutil.rmtree(output / "gone")
task = {
    "Event": "SparkListenerTaskEnd",
    "Task Info": {"Finish Time": time.time() * 1000},
    "Task Metrics": {"Disk Bytes Spilled": 2 * 2**20},
}
log = Path(os.environ["SPARK_CONF_DIR"]) / "log" / "local-1"
log.write_text(json.dumps(task, separators=(",", ":")) + "\\n")
say("[ 1/2] clean         1.2 s        5 rows")
shutil.rmtree(output / "work")
say("[ 2/2] report …")
time.sleep(0.6)
"""


def test_each_stage_has_its_seconds_memory_and_spill(tmp_path: Path) -> None:
    output = tmp_path / "out"
    stages = watched([sys.executable, "-c", TRAINING, str(output)], output, tmp_path / "watched")
    assert [stage.stage for stage in stages] == ["start", "clean", "report"]
    _, clean, report = stages
    assert 1.0 < clean.seconds < 6
    assert clean.peak_mb > 0
    assert (clean.spilled_mb, report.spilled_mb) == (5, 0)


def test_a_training_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        watched([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "out", tmp_path / "watched")


def size(events: int, seconds: float, peer: float | None) -> Size:
    stages = (StageCost("start", 1.0, 600, 0), StageCost("clean", seconds - 1, 900, 7))
    return Size(events, "popularity", stages, peer, 500 if peer else None)


def test_sizes_that_are_known_are_not_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for one in (size(1_000_000, 40.0, 20.0), size(4_000_000, 100.0, None)):
        (tmp_path / f"{one.events}.json").write_text(json.dumps(asdict(one)))
    scale.main(["--events", "4000000,1000000", "--generators", "popularity", "--output", str(tmp_path)])
    first, second = json.loads(capsys.readouterr().out.splitlines()[-1])["sizes"]
    assert (first["events"], first["us_per_event"], first["ratio"]) == (1_000_000, 40.0, 2.0)
    assert (second["events"], second["us_per_event"], second["ratio"]) == (4_000_000, 25.0, None)
    assert (second["seconds"], second["peak_mb"], second["spilled_mb"]) == (100.0, 900, 7)
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")


def test_a_size_of_other_generators_is_refused_before_another_one_is_measured(tmp_path: Path) -> None:
    (tmp_path / "4000000.json").write_text(json.dumps(asdict(size(4_000_000, 100.0, None))))
    with pytest.raises(SystemExit, match=r"4000000\.json is of the generators popularity; give another --output"):
        scale.main(["--events", "1000000,4000000", "--generators", "als", "--output", str(tmp_path)])


def test_a_size_without_the_peer_that_is_asked_for_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1000000.json").write_text(json.dumps(asdict(size(1_000_000, 40.0, None))))
    scale.main(["--events", "1000000", "--generators", "popularity", "--peer", "--output", str(tmp_path)])
    assert "was measured without the peer" in capsys.readouterr().err
