"""Two real shops, from file to report: RetailRocket's week and Online Retail's year.

Each page is made of its `run.json` alone, and every chart on it says something. Online Retail II, its first year, is
read through the layout that is proposed for it (text ids, no event type, lines without a customer and cancelled ones);
its figures are as published for these invoices.
"""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from app.events.ingest import read_cleaned
from app.events.propose import propose
from app.events.revenue import revenue_cents
from app.insight.customer_results import Customers
from app.report.page import render_report
from app.results.files import read_run
from app.results.run import RunResult
from tests.small_spark import SMALL_SPARK

pytestmark = pytest.mark.slow(seconds=65)

ONLINE_RETAIL = "online_retail_2010"
SHOPS = {
    "retailrocket_week": "events.csv",
    ONLINE_RETAIL: "online_retail_2009_2010.parquet",
}
of_online_retail = pytest.mark.parametrize("output", [ONLINE_RETAIL], indirect=True)
#: Models that learn nothing much, soon: the charts are there all the same.
QUICK = {
    "VITRINE_GENERATORS": "covisitation,popularity",
    "VITRINE_RANKER": "reciprocal_rank",
    "VITRINE_BOOTSTRAP": "20",
    "VITRINE_EVALUATION_QUERIES": "500",
}


@pytest.fixture(scope="module", params=SHOPS)
def output(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `vitrine train`, with production's Spark: for half a million rows that of the other tests takes far longer."""
    log = source(shared_data, request.param)
    if not log.is_file():
        pytest.skip(f"no real rows at {log}")
    folder = tmp_path_factory.mktemp(request.param)
    layout: list[str] = []
    if log.suffix == ".parquet":
        (folder / "shop.yaml").write_text(propose(str(log)).text)
        layout = ["--layout", str(folder / "shop.yaml"), "--catalogue", str(log)]
    command = [sys.executable, "-m", "app.cli", "train", "--events", str(log), "--output", str(folder), *layout]
    environment = {name: value for name, value in os.environ.items() if name not in SMALL_SPARK} | QUICK
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    print(done.stderr)  # seconds by stage, where the test fails
    assert done.returncode == 0
    return folder


@pytest.fixture(scope="module")
def online_retail(output: Path) -> RunResult:
    return read_run(output / "run.json")


def source(shared_data: Path, shop: str) -> Path:
    return shared_data / shop / SHOPS[shop]


def customers(found: RunResult) -> Customers:
    assert found.customers is not None
    return found.customers


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


@of_online_retail
def test_every_invoice_line_is_accounted_for(spark: SparkSession, shared_data: Path, online_retail: RunResult) -> None:
    report = online_retail.cleaning
    assert (report.read, report.kept, report.duplicates, report.rejected) == (525_461, 400_947, 6_748, 0)
    assert report.left_out == {"cancelled": 10_206, "no customer": 107_560}
    events = read_cleaned(spark, online_retail.paths.cleaned)
    row = events.agg(
        F.countDistinct("user_key").alias("customers"),
        F.countDistinct("user_id").alias("numbers"),
        F.countDistinct("product_key").alias("products"),
        F.sum(F.when(F.col("price").isNotNull(), F.col("copies"))).alias("priced"),
        F.sum(revenue_cents() * F.col("copies")).alias("cents"),
    ).first()
    assert row is not None
    assert (row["customers"], row["numbers"], row["products"]) == (4_314, 4_314, 4_017)
    assert row["priced"] == 407_695 - 31
    frame = pd.read_parquet(source(shared_data, ONLINE_RETAIL))
    sold = frame[frame["Customer ID"].notna() & ~frame["Invoice"].str.startswith("C")]
    assert row["cents"] / 100 == pytest.approx((sold["Quantity"] * sold["Price"]).sum(), abs=1)


@of_online_retail
def test_online_retails_rfm_is_as_published(online_retail: RunResult) -> None:
    assert {row.name: row.customers for row in customers(online_retail).rfm} == {
        "Hibernating": 1015,
        "Loyal customers": 742,
        "Champions": 663,
        "At risk": 611,
        "Potential loyalists": 517,
        "About to sleep": 343,
        "Need attention": 207,
        "Promising": 87,
        "Can't lose": 77,
        "New customers": 50,
    }
    assert sum(row.customers for row in customers(online_retail).rfm) == 4312


@of_online_retail
def test_online_retails_cohorts_are_as_published(online_retail: RunResult) -> None:
    _, purchases = customers(online_retail).cohorts
    rows = {row.start.isoformat(): row.users for row in purchases.rows}
    assert purchases.period == "month"
    assert rows["2009-12-01"] == (955, 337, 319, 406, 363, 343, 360, 327, 321, 346, 403, 473, 237)
    assert rows["2010-01-01"] == (383, 79, 119, 117, 101, 115, 99, 88, 107, 122, 116, 38)
    assert not purchases.last_is_whole, "December 2010 ends with the 9th"


@of_online_retail
def test_online_retails_weeks_add_up(online_retail: RunResult) -> None:
    """Who was there in one week is, in the next, returning or dormant."""
    for found in customers(online_retail).lifecycle:
        for before, after in zip(found.weeks, found.weeks[1:], strict=False):
            there = before.new + before.returning + before.resurrected
            assert there == after.returning + after.dormant


@of_online_retail
def test_online_retails_year_does_not_tell_who_has_left(online_retail: RunResult) -> None:
    value = customers(online_retail).value
    assert value is not None
    assert value.bg_nbd.not_identified is not None
    assert value.bg_nbd.not_identified.startswith(("how readily customers leave can't be told", "a falls to 0"))
    assert value.bg_nbd.parameters == ()
    assert all(row.p_alive is row.purchases_90 is row.value_90 is None for row in value.rows)
    assert value.gamma_gamma.not_identified is None
    assert value.correlated, "who buys more often spends more on a purchase"
