"""Customers: RFM, lifecycle and cohorts of a stored events table, part by part."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.parts import Part, by_part, part_files, read_table
from app.features.slices import span
from app.insight.cohorts import KINDS, Period, activity, cohort_counts, cohorts, lifecycle, lifecycle_counts
from app.insight.customer_results import Customers
from app.insight.purchases import orders
from app.insight.rfm import customer_totals, fifths, rfm_rows, rfm_sums, scored

WEEKS_UP_TO = 180  #: days; in a longer log cohorts are of months


@dataclass(frozen=True)
class Found:
    """What was found, and the table of customers (`app.insight.rfm.scored`), in the parts of the events."""

    figures: Customers
    table: Path


def find_customers(spark: SparkSession, events: Path, folder: Path) -> Found:
    """RFM, lifecycle and cohorts.

    Parameters
    ----------
    spark
        Session.
    events
        A stored events table, in parts.
    folder
        For the tables made here, on a disk that driver and executors share.
    """
    first, last = (moment.date() for moment in span(events))
    period = period_of(first, last)
    parts = len(part_files(events))

    def count(part: Part) -> None:
        seen = part.read(events)
        part.write("totals", customer_totals(part.write("orders", orders(seen)), f"{last}"))
        days = part.write("days", activity(seen))
        part.write("cohorts", cohort_counts(days, period))
        part.write("lifecycle", lifecycle_counts(days, last))

    def cut(part: Part) -> None:
        part.write("fifths", fifths(read_table(part.connection, folder / "totals")))

    def score(part: Part) -> None:
        ends = read_table(part.connection, folder / "fifths")
        part.write("rfm_sums", rfm_sums(part.write("rfm", scored(part.read(folder / "totals"), ends))))

    folder.mkdir(parents=True)
    by_part(spark, parts, count, folder)
    by_part(spark, 1, cut, folder)  # ranks are of all customers: one task reads five numbers of each
    by_part(spark, parts, score, folder)
    with duck.connect(folder) as connection:
        sums, counts, states = (read_table(connection, folder / name) for name in ("rfm_sums", "cohorts", "lifecycle"))
        figures = Customers(
            rfm=rfm_rows(sums),
            lifecycle=tuple(lifecycle(states, kind, first, last) for kind in KINDS),
            cohorts=tuple(cohorts(counts, kind, period, first, last) for kind in KINDS),
        )
    return Found(figures, folder / "rfm")


def period_of(first: date, last: date) -> Period:
    """Of cohorts: so that a log has at least a few and at most some dozens of them."""
    return "week" if (last - first).days <= WEEKS_UP_TO else "month"
