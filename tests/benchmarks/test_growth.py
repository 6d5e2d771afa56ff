"""The growth benchmark: it measures the bundles that are there, and tells what they were learned from."""

import json
from pathlib import Path

import growth
import numpy as np
import pytest
import serve
from click.testing import CliRunner


def test_bundles_that_are_there_are_measured_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SINGLE_VISITS", 5)
    monkeypatch.setattr(growth, "BATCH", 8)
    for events, products in ((1_000, 100), (2_000, 300)):
        bundle = tmp_path / str(events) / "bundle"
        bundle.mkdir(parents=True)
        serve.synthetic(products, 50, np.random.default_rng(1)).save(bundle)
        told = {"events": events, "sessions": events // 4, "seconds": 1.5, "peak_mb": 7}
        (tmp_path / str(events) / growth.LEARNED).write_text(json.dumps(told))
    done = CliRunner().invoke(growth.main, ["--events", "1000", "--times", "1,2", "--bundles", str(tmp_path)])
    assert done.exit_code == 0, done.output
    small, large = json.loads(done.output.splitlines()[-1])["sizes"]
    assert (small["events"], small["sessions"], small["products"], small["users"]) == (1_000, 250, 100, 50)
    assert (large["events"], large["learning_s"], large["learning_peak_mb"], large["products"]) == (2_000, 1.5, 7, 300)
    assert large["bundle_mb"] > small["bundle_mb"] > 0
    assert 0 < small["p50_ms"] <= small["p99_ms"]
    assert small["visits_a_second"] > 0


def test_a_size_that_is_no_number_is_refused() -> None:
    done = CliRunner().invoke(growth.main, ["--times", "1,x"])
    assert done.exit_code == 2
    assert "'1,x' is no list of whole numbers from 1" in done.output
