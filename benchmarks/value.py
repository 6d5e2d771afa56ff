"""BG/NBD and Gamma-Gamma on a file of purchases, as CDNOW's:

    python benchmarks/value.py --transactions F [--calibration-end DATE] [--collapse day|week]

A line of the file is `customer sample date units money`, separated by blanks, without a header; dates are 19970101 or
1997-01-01. Purchases of a customer on one day are one; with --collapse week those of one calendar week, from Monday,
and the last week counts whole. Times are in weeks. Models are fitted on the purchases up to --calibration-end, or on
all; what comes after it is held against what they expect. `expected` and `p_alive` are of a customer with --frequency
repeat purchases, the last after --recency of --age weeks, over --weeks weeks: those of the paper if not given.
Parameters are null where the data don't carry them, and a sentence says why. Closes with one JSON line.
"""

import json
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import pandas as pd

from app.core import duck
from app.core.duck import Relation
from app.core.errors import InputError
from app.insight.bg_nbd import BgNbd, Histories, fit_bg_nbd
from app.insight.gamma_gamma import MAX_CORRELATION, fit_gamma_gamma
from app.insight.histories import (
    buying_histories,
    histories_of,
    history_counts,
    later_purchases,
    spending_counts,
    spending_of,
)
from app.insight.likelihood import NotIdentified

COLUMNS = ("customer", "sample", "date", "units", "money")
MOST = 1e12  #: money of a line beyond which its cents would not add up
MONDAY = date(1970, 1, 5)
DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Asked:
    """The customer that is asked for, in weeks, and how far ahead."""

    frequency: int
    recency: float
    age: float
    weeks: float

    @property
    def history(self) -> Histories:
        return Histories(*(np.array([float(value)]) for value in (self.frequency, self.recency, self.age, 1)))


def read_transactions(path: Path) -> pd.DataFrame:
    """Customer (text), day (int, from a Monday) and cents of each line.

    Raises
    ------
    InputError
        The file can't be read, or a line is not of the format: names the first one.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # a byte order mark is no part of the first customer
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--transactions {path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    fields = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if not fields:
        raise InputError(f"--transactions {path}: holds no purchases")
    for number, values in fields:
        if len(values) != len(COLUMNS):
            raise InputError(
                f"--transactions {path}: line {number} has {len(values)} fields; a line is {' '.join(COLUMNS)}, "
                "separated by blanks"
            )
    table = pd.DataFrame([values for _, values in fields], columns=list(COLUMNS), index=[n for n, _ in fields])
    times = pd.to_datetime(table["date"].str.replace("-", ""), format="%Y%m%d", errors="coerce")
    units, money = (pd.to_numeric(table[name], errors="coerce") for name in ("units", "money"))
    wrongs = {"date": times.isna(), "units": ~np.isfinite(units), "money": ~(money.abs() <= MOST)}
    for name, wrong in wrongs.items():
        if wrong.any():
            line = wrong.idxmax()
            raise InputError(
                f"--transactions {path}: line {line}: {table.at[line, name]!r} is no {name}; "
                f"a line is {' '.join(COLUMNS)}, without a header"
            )
    days = (times - pd.Timestamp(MONDAY)).dt.days
    cents = (money * 100).round().astype("int64")
    return pd.DataFrame({"customer": table["customer"], "day": days, "cents": cents})


def day_number(text: str) -> int:
    """Days from the Monday that days and weeks are counted from."""
    try:
        return (date.fromisoformat(text) - MONDAY).days
    except ValueError:
        raise InputError(f"--calibration-end {text}: is no date; give one like 1997-09-30") from None


@dataclass(frozen=True)
class Purchases:
    """All purchases by customer and period; the last periods of calibration and data; days in a period."""

    table: Relation
    end: int
    last: int
    days: int

    @property
    def unit(self) -> float:
        """Periods in a week."""
        return 7 / self.days


def purchases_of(connection: duck.Connection, table: pd.DataFrame, end: str | None, collapse: str) -> Purchases:
    """Purchases by period, refunds left out."""
    sold = table[table["cents"] >= 0]
    if len(sold) < len(table):
        print(f"{len(table) - len(sold):,} lines with money below 0 are left out", file=sys.stderr)
    days = DAYS[collapse]
    periods = pd.DataFrame(
        {"user_id": sold["customer"].factorize()[0], "period": sold["day"] // days, "cents": sold["cents"]}
    )
    if periods.empty:
        raise InputError("--transactions: no line has money of 0 or more")
    last = int(periods["period"].max())
    until = last if end is None else day_number(end) // days
    if until < periods["period"].min():
        first = MONDAY + timedelta(days=int(sold["day"].min()))
        raise InputError(f"--calibration-end {end}: is before the first purchase, on {first}")
    if until > last:
        latest = MONDAY + timedelta(days=int(sold["day"].max()))
        print(
            f"the last purchase is on {latest}; the models take it that nobody bought from then to {end}",
            file=sys.stderr,
        )
    rows = connection.from_df(periods)
    return Purchases(rows, until, last, days)


def measure(purchases: Purchases, asked: Asked) -> dict[str, object]:
    """Fit, ask, and hold against what came after."""
    known = buying_histories(purchases.table, purchases.end)
    histories = histories_of(history_counts(known), purchases.unit)
    spending = spending_of(spending_counts(known))
    bought, spent = fit_bg_nbd(histories), fit_gamma_gamma(spending)
    line: dict[str, object] = dict.fromkeys(("r", "alpha", "a", "b", "log_likelihood", "p", "q", "v"))
    line |= {"expected": None, "p_alive": None, "customers": int(histories.customers.sum())}
    line |= {"repeat_buyers": int(spending.customers.sum())}
    if isinstance(bought, NotIdentified):
        line["bg_nbd_not_identified"] = bought.reason
    else:
        model, estimate = bought
        line |= dict(zip(("r", "alpha", "a", "b"), map(_figure, estimate.parameters), strict=True))
        line["log_likelihood"] = round(estimate.log_likelihood, 2)
        line["expected"] = _figure(model.expected_purchases(asked.history, asked.weeks)[0])
        line["p_alive"] = _figure(model.p_alive(asked.history)[0])
        line["bg_nbd_standard_errors"] = [_figure(error) for error in estimate.standard_errors]
        line |= _holdout(purchases, model, histories)
    if isinstance(spent, NotIdentified):
        line["gamma_gamma_not_identified"] = spent.reason
    else:
        line |= dict(zip("pqv", map(_figure, spent[1].parameters), strict=True))
        line["gamma_gamma_standard_errors"] = [_figure(error) for error in spent[1].standard_errors]
    line["frequency_spend_correlation"] = None if spending.correlation is None else _figure(spending.correlation)
    if spending.correlation is not None and abs(spending.correlation) > MAX_CORRELATION:
        line["warning"] = "spend depends on frequency, which Gamma-Gamma rules out: its values mislead"
    return line


def _holdout(purchases: Purchases, model: BgNbd, histories: Histories) -> dict[str, object]:
    """Repeat purchases after the calibration, expected and made, of the customers known then."""
    periods = purchases.last - purchases.end
    if periods <= 0:
        return {}
    later = later_purchases(purchases.table, purchases.end)
    ((made,),) = later.aggregate("coalesce(sum(later), 0)::bigint").fetchall()
    expected = histories.customers @ model.expected_purchases(histories, periods / purchases.unit)
    return {
        "holdout_weeks": _figure(periods / purchases.unit),
        "holdout_purchases": made,
        "holdout_expected": round(float(expected), 1),
    }


def _figure(value: float) -> float:
    return float(f"{value:.6g}")


@click.command(help=__doc__)
@click.option("--transactions", required=True, type=click.Path(path_type=Path))
@click.option("--calibration-end", metavar="DATE", help="Last day that the models know, like 1997-09-30.")
@click.option("--collapse", type=click.Choice(list(DAYS)), default="day", show_default=True)
@click.option("--frequency", type=click.IntRange(0), default=2, show_default=True)
@click.option("--recency", type=click.FloatRange(0), default=30.43, show_default=True, help="In weeks.")
@click.option("--age", type=click.FloatRange(0), default=38.86, show_default=True, help="In weeks.")
@click.option("--weeks", type=click.FloatRange(0, min_open=True), default=39.0, show_default=True)
def main(
    transactions: Path,
    calibration_end: str | None,
    collapse: str,
    frequency: int,
    recency: float,
    age: float,
    weeks: float,
) -> None:
    """Read, measure, print."""
    try:
        if recency > age or (recency > 0) != (frequency > 0):
            raise InputError("--recency lies between 0 and --age, and is 0 without a repeat purchase alone")
        table = read_transactions(transactions)
        with TemporaryDirectory() as spill, duck.connect(Path(spill)) as connection:
            purchases = purchases_of(connection, table, calibration_end, collapse)
            line = measure(purchases, Asked(frequency, recency, age, weeks))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(line))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)  # click would show the usage as well
    except click.ClickException as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(error.exit_code)
