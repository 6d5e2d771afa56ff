"""The brief's pipeline, the training benchmark's second baseline: it does all its steps, with the settings printed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import brief
import duckdb
import pytest
from brief import driver_memory, segment_name
from train import ALIKE

from app.synthetic.shop import generate

NAMES = {"VIP_Customers", "Loyal_Customers", "Active_Buyers", "Dormant_Users", "Casual_Browsers"}


def row(query: str) -> tuple[Any, ...]:
    """The first row of what DuckDB finds."""
    found = duckdb.connect().execute(query).fetchone()
    assert found is not None
    return found


@pytest.mark.slow(seconds=30)
def test_the_brief_runs_every_step(tmp_path: Path) -> None:
    """Expected counts are DuckDB's, of the same file."""
    events, output = tmp_path / "shop.synthetic.csv", tmp_path / "brief"
    generate(events, 2_000, 3, days=4, users=60, products=100)  # its non-negative ALS takes long for each of both
    command = [sys.executable, brief.__file__, "--events", str(events), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    closing = json.loads(done.stdout.splitlines()[-1])
    assert set(closing["stages"]) == {"start", "save"} | {stage for alike in ALIKE for stage in alike.brief}

    total, users, products, paid = row(
        "select count(*), count(distinct user_id), count(distinct product_id), "
        f"sum(price) filter (event_type = 'purchase' and price > 0) from '{events}'"
    )
    counts = {"total_interactions": total, "total_users": users, "total_products": products, "segments_count": 5}
    assert counts.items() <= closing.items()
    assert counts.items() <= json.loads((output / "models" / "metadata.json").read_text()).items()
    processed, models = output / "data" / "processed" / "parquet", output / "models"
    rows, seen, spent = row(
        f"select count(*), sum(total_events), sum(monetary) from '{processed}/user_behavior_*/*.parquet'"
    )
    assert (rows, seen, spent) == (users, total, pytest.approx(paid))
    rows, names = row(f"select count(*), list(distinct segment) from '{models}/user_segments/*.parquet'")
    assert rows == users
    assert set(names) <= NAMES

    lists, shortest, longest = row(
        "select count(distinct user_idx), min(len(list_distinct(products))), max(len(products)) from (select user_idx, "
        f"[each.product_idx for each in recommendations] as products from '{models}/user_recommendations/*.parquet')"
    )
    assert (shortest, longest) == (10, 10)
    assert 0.5 * users < lists <= users, "all but those whose pairs are all in the test part"
    assert -1 <= closing["silhouette"] <= 1
    assert closing["rmse"] > 0


def test_a_machine_with_less_memory_gives_what_it_has_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**21, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert (driver_memory(), capsys.readouterr().err) == ("8g", "")
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**20, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert driver_memory() == "4096m"
    assert "has 4096 MB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recency", "frequency", "monetary", "conversion", "name"),
    [
        (29, 11, 501, 0, "VIP_Customers"),
        (59, 6, 0, 0, "Loyal_Customers"),
        (29, 1, 0, 0.11, "Active_Buyers"),
        (61, 2, 0, 0, "Dormant_Users"),
        (30, 3, 0, 0.5, "Casual_Browsers"),
    ],
)
def test_segments_are_named_by_the_printed_thresholds(
    recency: float, frequency: float, monetary: float, conversion: float, name: str
) -> None:
    assert segment_name(recency, frequency, monetary, conversion) == name


@pytest.mark.parametrize(("file", "message"), [("none.csv", "no such file"), ("shop.csv", "is not empty")])
def test_a_wrong_argument_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, message: str) -> None:
    (tmp_path / "shop.csv").touch()
    monkeypatch.setattr(sys, "argv", ["brief.py", "--events", str(tmp_path / file), "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match=message):
        brief.main()
