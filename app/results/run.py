"""What a run found: the one type that `run.json`, report, summary and InfluxDB points share.

It lies below the rooms that show it, and above those whose parts it is composed of.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from app.core.part import Part
from app.evaluate.results import Quality, RankerChoice, Verdict
from app.insight.behaviour_results import Behaviour
from app.insight.customer_results import Customers
from app.insight.results import Exploration, ProfileRow, RecommendationFigures, Segments

SCHEMA_VERSION: Final = 3  #: of `run.json`; the first edition wrote none


class Cleaning(Part):
    """Where every row of the log went: read = kept + duplicates + rejected + left out."""

    read: int = Field(description="rows read")
    kept: int = Field(description="distinct events kept")
    duplicates: int = Field(description="rows dropped as exact duplicates")
    rejected: int = Field(description="rows that can be no events")
    reasons: dict[str, int] = Field(description="rejected rows, by reason")
    left_out: dict[str, int] = Field(description="rows that the layout's rules leave out, by the rule's reason")


class StageRun(Part):
    """A stage of the run; the last one, which writes the report, is not among them."""

    stage: str = Field(description="its name")
    seconds: float = Field(description="how long it took")
    rows: int | None = Field(description="rows it left, where that is meaningful")
    note: str = Field(description="a remark, may be empty")


class Paths(Part):
    """Where things lie; null where the run made no such thing."""

    report: Path = Field(description="report.html")
    run: Path = Field(description="run.json")
    cleaned: Path = Field(description="table of cleaned events")
    rejected: Path | None = Field(default=None, description="table of rejected rows")
    segments: Path | None = Field(default=None, description="table of users: segment and profile")
    customers: Path | None = Field(default=None, description="table of customers: RFM and forecasts")
    performance: Path | None = Field(default=None, description="table of products: rates, revenue, which stand out")
    figures: Path | None = Field(default=None, description="tables of the figures of customers and behaviour")
    bundle: Path | None = Field(default=None, description="bundle, published or not")
    recommendations: Path | None = Field(default=None, description="table of lists for active users")
    merged_csv: Path | None = Field(default=None, description="the same lists as CSV")


class RunResult(Part):
    """A run of `vitrine train`, `explore`, `segments` or `customers`; a part that the command does not make is null."""

    schema_version: Literal[3] = Field(default=SCHEMA_VERSION, description="of this file")
    version: str = Field(description="of the bundle; the start of the run where it makes none")
    created: datetime = Field(description="start of the run, UTC")
    timezone: str = Field(description="the shop's time zone, of hours of the day")
    synthetic: bool = Field(description="whether the events are made up")
    events_source: str = Field(description="the log, or the cleaned table that was taken in its place")
    cleaning: Cleaning = Field(description="where every row went")
    exploration: Exploration | None = Field(default=None, description="what is in the log")
    behaviour: Behaviour | None = Field(default=None, description="funnel, carts, products and paths")
    pairs: int | None = Field(default=None, description="user-product pairs trained on")
    segments: Segments | None = Field(default=None, description="customer segments")
    profiles: tuple[ProfileRow, ...] | None = Field(default=None, description="behaviour profiles")
    customers: Customers | None = Field(default=None, description="RFM, cohorts, lifecycle and value of customers")
    quality: Quality | None = Field(default=None, description="how good the recommendations are")
    ranker: RankerChoice | None = Field(default=None, description="what orders the lists, and why")
    gate: Verdict | None = Field(default=None, description="whether the bundle was published")
    recommendations: RecommendationFigures | None = Field(
        default=None, description="figures of the lists for active users"
    )
    stages: tuple[StageRun, ...] = Field(description="in the order in which they ran")
    paths: Paths = Field(description="where things lie")
    pruned: tuple[str, ...] = Field(default=(), description="old bundles that were deleted")
