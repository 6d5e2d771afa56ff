"""Online Retail II, its first year, read through the layout that is proposed for it: as published for these invoices.

Text ids, no event type, lines without a customer and cancelled ones.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from app.core.settings import Settings
from app.events.ingest import CleaningReport, ingest, read_cleaned
from app.events.propose import propose
from app.events.revenue import revenue_cents
from app.insight.customer_results import Customers
from app.insight.customers import find_customers

pytestmark = pytest.mark.slow(seconds=8)


@dataclass(frozen=True)
class Retail:
    """The shop's file, how it was cleaned, and its customers."""

    source: Path
    cleaning: CleaningReport
    figures: Customers


@pytest.fixture(scope="module")
def retail(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Retail:
    source = shared_data / "online_retail_2010" / "online_retail_2009_2010.parquet"
    if not source.is_file():
        pytest.skip(f"no real rows at {source}")
    folder = tmp_path_factory.mktemp("retail")
    (folder / "shop.yaml").write_text(propose(str(source)).text)
    settings = Settings(events=str(source), layout=folder / "shop.yaml", output=folder)
    cleaning = ingest(spark, settings, str(source), folder, "20260101_000000", datetime(2026, 1, 1))
    return Retail(source, cleaning, find_customers(spark, cleaning.cleaned, folder / "customers").figures)


def test_every_invoice_line_is_accounted_for(spark: SparkSession, retail: Retail) -> None:
    report = retail.cleaning
    assert (report.read, report.kept, report.duplicates, report.rejected) == (525_461, 400_947, 6_748, 0)
    assert report.left_out == {"cancelled": 10_206, "no customer": 107_560}
    events = read_cleaned(spark, report.cleaned)
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
    frame = pd.read_parquet(retail.source)
    sold = frame[frame["Customer ID"].notna() & ~frame["Invoice"].str.startswith("C")]
    assert row["cents"] / 100 == pytest.approx((sold["Quantity"] * sold["Price"]).sum(), abs=1)


def test_online_retails_rfm_is_as_published(retail: Retail) -> None:
    assert {row.name: row.customers for row in retail.figures.rfm} == {
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
    assert sum(row.customers for row in retail.figures.rfm) == 4312


def test_online_retails_cohorts_are_as_published(retail: Retail) -> None:
    _, purchases = retail.figures.cohorts
    rows = {row.start.isoformat(): row.users for row in purchases.rows}
    assert purchases.period == "month"
    assert rows["2009-12-01"] == (955, 337, 319, 406, 363, 343, 360, 327, 321, 346, 403, 473, 237)
    assert rows["2010-01-01"] == (383, 79, 119, 117, 101, 115, 99, 88, 107, 122, 116, 38)
    assert not purchases.last_is_whole, "December 2010 ends with the 9th"


def test_online_retails_weeks_add_up(retail: Retail) -> None:
    """Who was there in one week is, in the next, returning or dormant."""
    for found in retail.figures.lifecycle:
        for before, after in zip(found.weeks, found.weeks[1:], strict=False):
            there = before.new + before.returning + before.resurrected
            assert there == after.returning + after.dormant


def test_online_retails_year_does_not_tell_who_has_left(retail: Retail) -> None:
    value = retail.figures.value
    assert value is not None
    assert value.bg_nbd.not_identified is not None
    assert value.bg_nbd.not_identified.startswith(("how readily customers leave can't be told", "a falls to 0"))
    assert value.bg_nbd.parameters == ()
    assert all(row.p_alive is row.purchases_90 is row.value_90 is None for row in value.rows)
    assert value.gamma_gamma.not_identified is None
    assert value.correlated, "who buys more often spends more on a purchase"
