"""What is found about customers, typed to the leaf; `RunResult` holds these parts."""

from datetime import date
from typing import Literal

from pydantic import Field

from app.core.part import Part


class RfmRow(Part):
    """Customers of one name."""

    name: str = Field(description="one of the ten usual names")
    customers: int = Field(description="customers of that name")
    share: float = Field(description="share of all customers who spent money, 0 to 1")
    revenue: float = Field(description="what they spent, in shop currency")
    revenue_share: float = Field(description="share of what all spent, 0 to 1")
    mean_recency_days: float = Field(description="mean of days from the last purchase to the end of the data")
    mean_purchases: float = Field(description="mean number of purchases")


class LifecycleRow(Part):
    """What became of users in one week; new + returning + resurrected are those who were there."""

    week: date = Field(description="its Monday")
    new: int = Field(description="active for the first time in the log")
    returning: int = Field(description="active, and in the week before")
    resurrected: int = Field(description="active, not in the week before, but earlier")
    dormant: int = Field(description="active in the week before, but not in this one")


class Lifecycle(Part):
    """Users from week to week."""

    kind: Literal["visits", "purchases"] = Field(description="what counts as active")
    last_is_whole: bool = Field(description="whether the data reach the end of the last week")
    weeks: tuple[LifecycleRow, ...] = Field(description="every week of the log, in order")


class Cohort(Part):
    """Users first active in one period."""

    start: date = Field(description="first day of the period")
    users: tuple[int, ...] = Field(description="of them, active 0, 1, … periods later; ends with the data")


class PeriodCohorts(Part):
    """Who comes back, period after period."""

    kind: Literal["visits", "purchases"] = Field(description="what counts as active")
    period: Literal["week", "month"] = Field(description="calendar weeks from Monday, or months; in UTC")
    last_is_whole: bool = Field(description="whether the data reach the end of the last period, the last of each row")
    rows: tuple[Cohort, ...] = Field(description="every period of the log, in order")


class Parameter(Part):
    """An estimated parameter of a model."""

    name: str = Field(description="as in the literature")
    value: float = Field(description="maximum likelihood estimate; times are in weeks, money in shop currency")
    standard_error: float = Field(description="its standard error")
    low: float = Field(description="lower end of its 95 % interval")
    high: float = Field(description="upper end")


class ModelFit(Part):
    """A model fitted to the log."""

    not_identified: str | None = Field(description="why the data don't carry the model; null where they do")
    parameters: tuple[Parameter, ...] = Field(description="empty where it is not identified")
    log_likelihood: float | None = Field(description="of all customers it was fitted on")


class Forecast(Part):
    """A forecast with its 95 % interval, as far as parameters are uncertain; chance is not in it."""

    value: float = Field(description="the forecast")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")


class ValueRow(Part):
    """What is expected of the customers of one name; null where the model is not identified."""

    name: str = Field(description='name of RFM, "All customers", "No money known", or a segment')
    customers: int = Field(description="customers of that name")
    p_alive: Forecast | None = Field(description="mean probability that they are still customers, 0 to 1")
    purchases_30: Forecast | None = Field(description="purchases that all of them are expected to make in 30 days")
    purchases_90: Forecast | None = Field(description="in 90 days")
    expected_spend: float | None = Field(description="mean of what is expected of a purchase, in shop currency")
    value_90: Forecast | None = Field(description="what all of them are expected to bring in 90 days, in shop currency")


class HoldoutRow(Part):
    """Customers with equally many repeat purchases up to the calibration's end."""

    frequency: int = Field(description="repeat purchases; 5 stands for more too")
    customers: int = Field(description="customers with so many")
    expected: float = Field(description="purchases expected of them afterwards")
    made: int = Field(description="purchases they made")


class Holdout(Part):
    """A forecast made after two thirds of the log, held against the last third."""

    calibration_end: date = Field(description="last day that the forecast knew")
    days: int = Field(description="days after it")
    customers: int = Field(description="customers known by then")
    not_identified: str | None = Field(description="why there is no forecast; null where there is one")
    expected: float | None = Field(description="purchases expected of them afterwards")
    made: int = Field(description="purchases they made")
    rows: tuple[HoldoutRow, ...] = Field(description="by repeat purchases")


class Value(Part):
    """What customers are expected to do: BG/NBD and Gamma-Gamma."""

    days: int = Field(description="from the first to the last day of the log; forecasts that go further are bold")
    bg_nbd: ModelFit = Field(description="purchases to come: r, alpha, a, b")
    gamma_gamma: ModelFit = Field(description="spend on a purchase: p, q, v")
    repeat_buyers: int = Field(description="customers that Gamma-Gamma is fitted on")
    correlation: float | None = Field(description="Pearson's, of repeat purchases and mean spend")
    correlated: bool = Field(description="whether it is so large that values mislead")
    rows: tuple[ValueRow, ...] = Field(description="all customers, then by RFM name")
    by_segment: tuple[ValueRow, ...] = Field(default=(), description="by segment, in a training")
    holdout: Holdout = Field(description="how a forecast would have done")


class Customers(Part):
    """What is known of a shop's customers."""

    rfm: tuple[RfmRow, ...] = Field(
        description="from those to keep to those who are gone; names without customers are left out"
    )
    lifecycle: tuple[Lifecycle, ...] = Field(description="of visits and of purchases, by week")
    cohorts: tuple[PeriodCohorts, ...] = Field(description="of visits and of purchases, by week or month")
    value: Value | None = Field(description="what they are expected to do; null where nobody bought")
