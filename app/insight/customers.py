"""Customers: RFM, lifecycle, cohorts and value of a stored events table, part by part."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Connection, Relation, query
from app.core.parts import Part, by_part, part_files, read_table
from app.features.slices import span
from app.insight.cohorts import KINDS, Period, activity, cohort_counts, cohorts, lifecycle, lifecycle_counts
from app.insight.customer_results import Customers, Value
from app.insight.gamma_gamma import Spending
from app.insight.histories import (
    buying_histories,
    histories_of,
    history_counts,
    later_counts,
    later_purchases,
    spending_counts,
    spending_of,
)
from app.insight.purchases import by_day, day_number, orders
from app.insight.rfm import customer_totals, fifths, rfm_rows, rfm_sums, scored
from app.insight.value import FORECASTS, WEEK, Fitted, fit_value, forecast_sums, forecasts
from app.insight.value_figures import calibration_end, held_out, value_figures

WEEKS_UP_TO = 180  #: days; in a longer log cohorts are of months
#: Columns of the stored table that come from the models.
FORECAST_COLUMNS = (
    *(f"{name}{end}" for name in FORECASTS for end in ("", "_low", "_high")),
    "expected_spend",
)


@dataclass(frozen=True)
class CustomerBase:
    """What was found, and where the table of customers is.

    `table`: columns of `app.insight.rfm.scored` and `FORECAST_COLUMNS`, in the parts of the events; a row for
    everybody who has bought. `histories`: what the forecasts are made from, in the same parts, by the models `fitted`.
    """

    figures: Customers
    table: Path
    histories: Path
    fitted: Fitted


@dataclass(frozen=True)
class _Days:
    """The log's first and last day, and the last that a forecast held out knows."""

    first: date
    last: date
    known: date

    @classmethod
    def of(cls, events: Path) -> "_Days":
        first, last = (moment.date() for moment in span(events))
        return cls(first, last, calibration_end(first, last))

    @property
    def period(self) -> Period:
        """Of cohorts: so that there are at least a few, and at most some dozens of them."""
        return "week" if (self.last - self.first).days <= WEEKS_UP_TO else "month"


def find_customers(spark: SparkSession, events: Path, folder: Path) -> CustomerBase:
    """RFM, lifecycle, cohorts and value.

    Parameters
    ----------
    spark
        Session.
    events
        A stored events table, in parts.
    folder
        For the tables made here, on a disk that driver and executors share.
    """
    days, parts = _Days.of(events), len(part_files(events))

    def cut(part: Part) -> None:
        part.write("fifths", fifths(read_table(part.connection, folder / "totals")))

    folder.mkdir(parents=True)
    by_part(spark, parts, lambda part: _count(part, part.read(events), days), folder)
    by_part(spark, 1, cut, folder)  # ranks are of all customers: one task reads four numbers of each
    with duck.connect(folder) as connection:
        spending, fitted = _fitted(connection, folder)
        by_part(spark, parts, lambda part: _score(part, folder, fitted), folder)
        figures = _figures(connection, folder, days, spending, fitted)
    return CustomerBase(figures, folder / "customers", folder / "histories", fitted)


def _count(part: Part, events: Relation, days: _Days) -> None:
    bought = part.write("orders", orders(events))
    part.write("totals", customer_totals(bought, f"{days.last}"))
    seen = activity(events)
    part.write("cohorts", cohort_counts(seen, days.period))
    part.write("lifecycle", lifecycle_counts(seen, days.last))
    purchases, known = by_day(bought), day_number(days.known)
    histories = part.write("histories", buying_histories(purchases, day_number(days.last)))
    part.write("history_counts", history_counts(histories))
    part.write("spending_counts", spending_counts(histories))
    part.write("later_counts", later_counts(buying_histories(purchases, known), later_purchases(purchases, known)))


def _fitted(connection: Connection, folder: Path) -> tuple[Spending, Fitted]:
    histories = histories_of(read_table(connection, folder / "history_counts"), WEEK)
    spending = spending_of(read_table(connection, folder / "spending_counts"))
    return spending, fit_value(histories, spending)


def _score(part: Part, folder: Path, fitted: Fitted) -> None:
    ends = read_table(part.connection, folder / "fifths")
    customers = part.write("rfm", scored(part.read(folder / "totals"), ends))
    part.write("rfm_sums", rfm_sums(customers))
    expected = forecasts(part.connection, part.read(folder / "histories"), fitted)
    both = query("from rfm join expected using (user_id)", rfm=customers, expected=expected)
    part.write("forecast_sums", forecast_sums(both, "rfm"))
    part.write("customers", both.select(", ".join([*customers.columns, *FORECAST_COLUMNS])).order("user_id"))


def _figures(connection: Connection, folder: Path, days: _Days, spending: Spending, fitted: Fitted) -> Customers:
    def counted(name: str) -> Relation:
        return read_table(connection, folder / name)

    holdout = held_out(counted("later_counts"), days.known, days.last)
    value: Value = value_figures(counted("forecast_sums"), fitted, spending, holdout, (days.last - days.first).days)
    states, counts = counted("lifecycle"), counted("cohorts")
    return Customers(
        rfm=rfm_rows(counted("rfm_sums")),
        lifecycle=tuple(lifecycle(states, kind, days.first, days.last) for kind in KINDS),
        cohorts=tuple(cohorts(counts, kind, days.period, days.first, days.last) for kind in KINDS),
        value=value if value.rows else None,
    )
