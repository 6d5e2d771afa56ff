"""The freshness benchmark: what it measures by, and a whole run of it, small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import freshness
import pytest
import rates

from app.core.settings import Settings
from app.stream.folders import StreamFolders
from tests.api.client import ROOT
from tests.stream.shop import recommender, write_bundle

#: As `python benchmarks/freshness.py`, of a shop that is made in a second.
SMALL = "import sys, freshness; freshness.TRAIN_EVENTS = 1_000; sys.exit(freshness.main())"
RATE, WARMUP, SECONDS = 100, 4, 7


def test_freshness_is_measured_without_influxdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_INFLUX_URL", "http://elsewhere:8086")
    assert freshness.files_alone(tmp_path).influx_url is None
    assert "VITRINE_INFLUX_URL" not in os.environ


def test_what_a_replay_has_landed_and_how_late(tmp_path: Path) -> None:
    """Four files half a second apart by the rate, of which the last comes 2.5 s after the first: one late."""
    folders = StreamFolders.of(Settings(output=tmp_path))
    folders.prepare()
    (folders.root / "replay.json").write_text(json.dumps({"position": {"rows": 1900, "files": 4}}))
    for number, moment in enumerate((100, 100.5, 101, 102.5)):
        file = folders.landing / f"replay-1-{number}.csv"
        file.touch()
        os.utime(file, (moment, moment))
    assert (freshness.landed(folders), freshness.late(folders, 0.5)) == (1900, 1.0)


def waits(seconds: int, rate: int, taken_in: float) -> list[int]:
    """What waits twice in half a second, of a file each: all that was there is taken in once in a second and a half."""
    found, there, done = [], 0.0, 0.0
    for quarter in range(seconds * 4):
        there += rate / 2 if quarter % 2 == 0 else 0
        done = min(there, done + taken_in * 1.5) if quarter % 6 == 5 else done
        found.append(round(there - done))
    return found


def test_what_waits_grows_where_less_is_taken_in_than_comes() -> None:
    """2 % of 3,000 events/s less: 60 a second, in the 60 s between the middles of the first third and the last."""
    assert freshness.grew(waits(90, 3_000, 3_000)) == freshness.grew(waits(90, 3_000, 9_000)) == 0
    assert freshness.grew(waits(90, 3_000, 2_940)) == pytest.approx(60 * 60, abs=300)
    late_start = [9_000, 6_000, 3_000, *waits(30, 3_000, 3_000)]
    assert freshness.grew(late_start) == pytest.approx(0, abs=300)
    made_up_for = [*waits(80, 3_000, 3_000), 30_000, 20_000, 10_000, *waits(10, 3_000, 3_000)]
    assert freshness.grew(made_up_for) == pytest.approx(0, abs=300)
    assert (freshness.grew([7]), freshness.grew([7, 9])) == (0, 2)


def test_a_rate_is_kept_up_with_if_what_waits_does_not_grow() -> None:
    """However little waits at the end: 1,500 events at 3,000/s are half a second's."""
    found = {"rate": 3000.0, "waiting": 3_000, "waiting_grew": 1_500, "replay_late_s": 0.0}
    assert rates.keeps_up(found)
    assert rates.keeps_up(found | {"waiting_grew": -3_000})
    assert not rates.keeps_up(found | {"waiting_grew": 1_501})


def test_a_rate_is_kept_up_with_if_little_waits_at_the_end_of_a_replay_that_kept_its_pace() -> None:
    """At 1,000 events/s three seconds are 3,000 events, however short the measurement and slow the stop."""
    found = {"rate": 1000.0, "events_per_s": 700.0, "waiting": 3000, "waiting_grew": 0, "replay_late_s": 0.0}
    assert rates.keeps_up(found)
    assert not rates.keeps_up(found | {"waiting": 3001})
    assert not rates.keeps_up(found | {"waiting": 2000, "replay_late_s": 1.1})


@pytest.mark.slow(seconds=40)
def test_one_run_measures_the_floor_and_the_stream(tmp_path: Path) -> None:
    """Both played the same events in turn, with a bundle that is there already; the closing line fits together."""
    write_bundle(tmp_path / "models", "a", recommender())
    command = [sys.executable, "-c", SMALL, "--floor", "--output", str(tmp_path), "--users", "200", "--products", "100"]
    command += ["--rate", str(RATE), "--warmup", str(WARMUP), "--seconds", str(SECONDS)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    ran = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    line = json.loads(ran.stdout.splitlines()[-1])
    assert (line["synthetic"], line["rate"]) == (True, RATE)
    assert line["seconds"] >= SECONDS
    assert 0 < line["floor_p50_s"] <= line["floor_p95_s"]
    assert 0 < line["p50_s"] <= line["p95_s"] <= line["p99_s"]
    assert line["ratio"] == round(line["p95_s"] / line["floor_p95_s"], 2)
    assert f"floor: freshness p50 {line['floor_p50_s']} s p95 {line['floor_p95_s']} s" in ran.stderr
    assert 0 < line["batches"] <= line["lists"]
    assert line["state_rows"] > 0 < line["state_bytes"]
    assert {"triggerExecution", "addBatch"} <= line["batch_ms"].keys() & line["floor_batch_ms"].keys()
    assert line["unaccounted"] == 0
    # A slow machine's first micro-batch may come after the replay's end, and takes all of it in.
    assert 0 <= line["waiting"] <= RATE * (WARMUP + SECONDS)
    assert line["replay_late_s"] >= 0 <= line["events_per_s"]
