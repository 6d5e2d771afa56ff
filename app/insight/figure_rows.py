"""Rows of the figures as tables: those of the results, with what tells apart rows that stand in one table."""

from datetime import date
from typing import Literal

from pydantic import Field

from app.core.part import Part
from app.events.vocabulary import EventType
from app.insight.behaviour_results import LeftBehind, Transition
from app.insight.customer_results import LifecycleRow, Parameter, ValueRow
from app.insight.results import TellingFeature

Kind = Literal["visits", "purchases"]


class _OfKind(Part):
    kind: Kind = Field(description="what counts as active: visits or purchases")


class WeekOfLifecycle(LifecycleRow, _OfKind):
    """Users of one week, by what became of them."""

    whole: bool = Field(description="whether the data reach the end of the week")


class CohortCell(_OfKind):
    """Users first active in one period, some periods later; a period that had not begun has no row."""

    period: Literal["week", "month"] = Field(description="week (from Monday) or month, in UTC")
    start: date = Field(description="first day of the period in which they were first active")
    later: int = Field(description="periods after that one, from 0")
    users: int = Field(description="of them, active then")
    share: float | None = Field(description="of all of them, 0 to 1; null where there are none")
    whole: bool = Field(description="whether the data reach the end of the later period")


class _By(Part):
    by: Literal["all", "rfm", "segment"] = Field(description="what customers are grouped by: all, rfm or segment")


class ValueOfGroup(ValueRow, _By):
    """What is expected of the customers of one name."""


class _OfModel(Part):
    model: Literal["bg_nbd", "gamma_gamma"] = Field(description="bg_nbd or gamma_gamma")


class ParameterOfModel(Parameter, _OfModel):
    """An estimated parameter of a model; of one that is not identified there is none."""


class FunnelStep(Part):
    """Sessions and users of one kind that reach a step."""

    by: Literal["all", "segment", "category", "price"] = Field(
        description="what they are grouped by: all, segment, category or price"
    )
    name: str = Field(description='segment, category or price band; "all" for everybody')
    number: int = Field(description="of the step, from 1")
    step: EventType = Field(description="view, cart or purchase")
    sessions: int = Field(description="sessions that reach it")
    users: int | None = Field(description="users that reach it within the window; null of categories and price bands")


class _Left(Part):
    by: Literal["product", "category"] = Field(description="what cart lines are grouped by: product or category")


class LeftOfGroup(LeftBehind, _Left):
    """A product or category of which something was left in carts."""


class _Step(Part):
    by: Literal["event", "category"] = Field(description="between what: event (types), or category (of products)")


class Path(Transition, _Step):
    """How often one thing came right after another in a session."""


class _Segment(Part):
    segment_id: int = Field(description="number of the segment")
    segment: str = Field(description="its name")


class FeatureOfSegment(TellingFeature, _Segment):
    """A feature that decides who is in a segment."""
