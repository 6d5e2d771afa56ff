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


class Customers(Part):
    """What is known of a shop's customers."""

    rfm: tuple[RfmRow, ...] = Field(
        description="from those to keep to those who are gone; names without customers are left out"
    )
    lifecycle: tuple[Lifecycle, ...] = Field(description="of visits and of purchases, by week")
    cohorts: tuple[PeriodCohorts, ...] = Field(description="of visits and of purchases, by week or month")
