"""Customers of Online Retail II, its first year, read through a layout: as published for these invoices."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.events.ingest import ingest
from app.insight.customers import CustomerBase, find_customers

pytestmark = pytest.mark.slow(seconds=30)
RETAIL = """
columns: {event_time: InvoiceDate, product_id: StockCode, price: Price, user_id: Customer ID, user_session: Invoice,
  quantity: Quantity, event_id: [InvoiceDate, Invoice, StockCode, Quantity, Price], order_id: Invoice}
event_type: purchase
ids: text
leave_out:
  - {reason: no customer, column: Customer ID, missing: true}
  - {reason: cancelled, column: Invoice, starts_with: C}
"""


@pytest.fixture(scope="module")
def retail(spark: SparkSession, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> CustomerBase:
    source = shared_data / "online_retail_2010" / "online_retail_2009_2010.parquet"
    if not source.is_file():
        pytest.skip(f"no real rows at {source}")
    folder = tmp_path_factory.mktemp("retail")
    (folder / "retail.yaml").write_text(RETAIL)
    settings = Settings(events=str(source), layout=folder / "retail.yaml", output=folder)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    report = ingest(spark, settings, str(source), folder, "20260101_000000", now)
    return find_customers(spark, report.cleaned, folder / "customers")


def test_online_retails_rfm_is_as_published(retail: CustomerBase) -> None:
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


def test_online_retails_cohorts_are_as_published(retail: CustomerBase) -> None:
    _, purchases = retail.figures.cohorts
    rows = {row.start.isoformat(): row.users for row in purchases.rows}
    assert purchases.period == "month"
    assert rows["2009-12-01"] == (955, 337, 319, 406, 363, 343, 360, 327, 321, 346, 403, 473, 237)
    assert rows["2010-01-01"] == (383, 79, 119, 117, 101, 115, 99, 88, 107, 122, 116, 38)
    assert not purchases.last_is_whole, "December 2010 ends with the 9th"


def test_online_retails_weeks_add_up(retail: CustomerBase) -> None:
    """Who was there in one week is, in the next, returning or dormant."""
    for found in retail.figures.lifecycle:
        for before, after in zip(found.weeks, found.weeks[1:], strict=False):
            there = before.new + before.returning + before.resurrected
            assert there == after.returning + after.dormant


def test_online_retails_year_does_not_tell_who_has_left(retail: CustomerBase) -> None:
    value = retail.figures.value
    assert value is not None
    assert value.bg_nbd.not_identified is not None
    assert value.bg_nbd.not_identified.startswith(("how readily customers leave can't be told", "a falls to 0"))
    assert value.bg_nbd.parameters == ()
    assert all(row.p_alive is row.purchases_90 is row.value_90 is None for row in value.rows)
    assert value.gamma_gamma.not_identified is None
    assert value.correlated, "who buys more often spends more on a purchase"
