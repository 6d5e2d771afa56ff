"""Two real shops, from file to report: RetailRocket's week and Online Retail's year.

Each page is made of its `run.json` alone, and every chart on it says something.
"""

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.propose import propose
from app.report.page import render_report
from app.results.files import read_run
from app.train.run import train

pytestmark = pytest.mark.slow(seconds=70)

SHOPS = {
    "retailrocket_week": "events.csv",
    "online_retail_2010": "online_retail_2009_2010.parquet",
}
#: Models that learn nothing much, soon: the charts are there all the same.
QUICK: dict[str, Any] = {
    "generators": "covisitation,popularity",
    "ranker": "reciprocal_rank",
    "bootstrap": 20,
    "evaluation_queries": 500,
    "shuffle_partitions": 2,
}


@pytest.fixture(scope="module", params=SHOPS)
def output(
    request: pytest.FixtureRequest, spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    source = shared_data / request.param / SHOPS[request.param]
    if not source.is_file():
        pytest.skip(f"no real rows at {source}")
    folder = tmp_path_factory.mktemp(request.param)
    layout: dict[str, Any] = {}
    if source.suffix == ".parquet":
        (folder / "shop.yaml").write_text(propose(str(source)).text)
        layout = {"layout": folder / "shop.yaml", "catalogue": str(source)}
    train(
        spark, Settings(events=str(source), output=folder, **layout, **QUICK), datetime(2026, 1, 1, tzinfo=UTC), print
    )
    return folder


def test_every_number_is_from_run_json(output: Path) -> None:
    assert render_report(read_run(output / "run.json")) == (output / "report.html").read_text()


def test_every_chart_says_something(output: Path) -> None:
    """Each has two areas that answer, and not all of them the same; nothing is unknown, or not a number."""
    html = (output / "report.html").read_text()
    charts = dict(re.findall(r"<h3>([^<]*)</h3>\s*<figcaption>.*?(<svg.*?</svg>)", html, flags=re.DOTALL))
    assert len(charts) > 10
    for title, svg in charts.items():
        told = [unescape(text) for text in re.findall(r'<g class="tip"><title>(.*?)</title>', svg, flags=re.DOTALL)]
        values = {text.split("\n", 1)[-1] for text in told}
        assert len(told) > 1, title
        assert len(values) > 1, title
    assert ">nan" not in html.lower()
    assert not re.search(r">unknown</text>", html)
    assert len(html.encode()) < 5_000_000


def test_other_is_a_minority(output: Path) -> None:
    profiles = read_run(output / "run.json").profiles
    assert profiles is not None
    (other,) = [row.share for row in profiles if row.profile == "Other"]
    assert other < 0.1
