"""Figures of customer value: the models, what is expected of each segment, and how a forecast would have done."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np

from app.core.duck import Relation
from app.insight.bg_nbd import NAMES as BG_NBD_NAMES
from app.insight.bg_nbd import Histories, fit_bg_nbd
from app.insight.customer_results import (
    Forecast,
    Holdout,
    HoldoutRow,
    ModelFit,
    Parameter,
    Value,
    ValueRow,
)
from app.insight.gamma_gamma import MAX_CORRELATION, Spending
from app.insight.gamma_gamma import NAMES as GAMMA_GAMMA_NAMES
from app.insight.histories import histories_of
from app.insight.likelihood import Estimate, Floats, NotIdentified, errors_of
from app.insight.rfm import ORDER
from app.insight.value import FORECASTS, WEEK, Fitted, changes, limits, summed

ALL = "All customers"
NO_MONEY = "No money known"
COLUMNS = ("customers", *summed())  #: of `forecast_sums`, but for the group
FREQUENCIES = (0, 1, 2, 3, 4, 5)  #: repeat purchases by which a holdout is told apart; the last stands for more too


def value_figures(sums: Relation, fitted: Fitted, spending: Spending, holdout: Holdout, days: int) -> Value:
    """All of it.

    Parameters
    ----------
    sums
        `app.insight.value.forecast_sums` of all parts.
    fitted, spending
        The models, and what Gamma-Gamma was fitted on.
    holdout
        `held_out`.
    days
        From the first to the last day of the log.
    """
    correlation = spending.correlation
    return Value(
        days=days,
        bg_nbd=_model(fitted.bought, tuple(BG_NBD_NAMES)),
        gamma_gamma=_model(fitted.spent, tuple(GAMMA_GAMMA_NAMES)),
        repeat_buyers=int(spending.customers.sum()),
        correlation=correlation,
        correlated=correlation is not None and abs(correlation) > MAX_CORRELATION,
        rows=_rows(sums, fitted),
        holdout=holdout,
    )


def _model(found: tuple[object, Estimate] | NotIdentified, names: tuple[str, ...]) -> ModelFit:
    if isinstance(found, NotIdentified):
        return ModelFit(not_identified=found.reason, parameters=(), log_likelihood=None)
    estimate = found[1]
    columns = (estimate.parameters, estimate.standard_errors, *estimate.intervals.T)
    return ModelFit(
        not_identified=None,
        parameters=tuple(
            Parameter(name=name, value=value, standard_error=error, low=low, high=high)
            for name, value, error, low, high in zip(names, *columns, strict=True)
        ),
        log_likelihood=estimate.log_likelihood,
    )


def _rows(sums: Relation, fitted: Fitted) -> tuple[ValueRow, ...]:
    groups = value_rows(sums, fitted, {name: name for name in ORDER} | {None: NO_MONEY})
    if not groups:
        return ()
    totals = ", ".join(f"fsum({name}::double)" for name in COLUMNS)
    every = dict(zip(COLUMNS, sums.aggregate(totals).fetchall()[0], strict=True))
    return (_row(ALL, every, fitted), *groups)


def value_rows(sums: Relation, fitted: Fitted, names: Mapping[Any, str]) -> tuple[ValueRow, ...]:
    """What is expected of each group that has customers.

    Parameters
    ----------
    sums
        `app.insight.value.forecast_sums` of all parts.
    fitted
        The models.
    names
        Of groups, by what stands for them in `sums`, in the order wanted.
    """
    group = sums.columns[0]
    totals = ", ".join(f"fsum({name}::double)" for name in COLUMNS)
    groups = {
        key: dict(zip(COLUMNS, row, strict=True)) for key, *row in sums.aggregate(f"{group}, {totals}").fetchall()
    }
    return tuple(_row(name, groups[key], fitted) for key, name in names.items() if key in groups)


def _row(name: str, found: dict[str, float | None], fitted: Fitted) -> ValueRow:
    customers = int(found["customers"] or 0)
    made = {forecast: _forecast(forecast, found, fitted, customers) for forecast in FORECASTS}
    spend = found["expected_spend"]
    return ValueRow(name=name, customers=customers, expected_spend=None if spend is None else spend / customers, **made)


def _forecast(name: str, found: dict[str, float | None], fitted: Fitted, customers: int) -> Forecast | None:
    """Of a group: the mean of a probability, the sum of anything else."""
    total = found[name]
    if total is None:
        return None
    share = customers if name == "p_alive" else 1
    value, change = np.array([total]) / share, np.array([[found[column] or 0.0 for column in changes(name)]]) / share
    low, high = limits(name, value, errors_of(change, fitted.covariance))
    assert low is not None
    assert high is not None
    return Forecast(value=float(value[0]), low=float(low[0]), high=float(high[0]))


def held_out(counts: Relation, end: date, last: date) -> Holdout:
    """How a forecast made earlier would have done.

    Parameters
    ----------
    counts
        `app.insight.histories.later_counts` of all parts, of histories up to `end`.
    end, last
        Last days that the forecast knew, and of the data.
    """
    later = counts.aggregate("frequency, recency, age, sum(later)::bigint as later").order("frequency, recency, age")
    histories, made = histories_of(counts, WEEK), np.asarray(later.fetchnumpy()["later"], np.float64)
    expected: Floats | None = None
    reason: str | None = None
    rows: tuple[HoldoutRow, ...] = ()
    found = fit_bg_nbd(histories)
    if isinstance(found, NotIdentified):
        reason = found.reason
    else:
        expected = histories.customers * found[0].expected_purchases(histories, (last - end).days / WEEK)
        rows = _by_frequency(histories, expected, made)
    return Holdout(
        calibration_end=end,
        days=(last - end).days,
        customers=int(histories.customers.sum()),
        not_identified=reason,
        expected=None if expected is None else float(expected.sum()),
        made=int(made.sum()),
        rows=rows,
    )


def _by_frequency(histories: Histories, expected: Floats, made: Floats) -> tuple[HoldoutRow, ...]:
    group = np.minimum(histories.frequency, FREQUENCIES[-1])
    return tuple(
        HoldoutRow(
            frequency=frequency,
            customers=int(histories.customers[group == frequency].sum()),
            expected=float(expected[group == frequency].sum()),
            made=int(made[group == frequency].sum()),
        )
        for frequency in FREQUENCIES
        if np.any(group == frequency)
    )


def calibration_end(first: date, last: date) -> date:
    """The last day of the first two thirds of the log."""
    return first + timedelta(days=(last - first).days * 2 // 3)
