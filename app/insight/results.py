"""What insight finds, typed to the leaf; `RunResult` holds these parts."""

from datetime import date, datetime

from pydantic import Field

from app.core.part import Measured, Part
from app.serve.segments import Means


class EventMixRow(Part):
    """Events of one type."""

    event_type: str = Field(description="view, cart, remove_from_cart or purchase")
    events: int = Field(description="rows as read, duplicates included")
    share: float = Field(description="share of all events, 0 to 1")


class MissingRow(Part):
    """Missing values of one column."""

    column: str = Field(description="name of the column")
    missing: int = Field(description="rows as read without a value")
    share: float = Field(description="share of all rows, 0 to 1")


class DayRow(Part):
    """Events of one day."""

    day: date = Field(description="day in UTC")
    events: int = Field(description="rows as read")
    by_type: dict[str, int] = Field(description="rows as read, by event type")


class HourRow(Part):
    """Events of one hour of the day."""

    hour: int = Field(description="0 to 23, in the shop's time zone")
    events: int = Field(description="rows as read")
    by_type: dict[str, int] = Field(description="rows as read, by event type")


class PriceRow(Part):
    """Prices in the events of one type, as listed, in shop currency."""

    event_type: str = Field(description="view, cart, remove_from_cart or purchase")
    mean: Measured = Field(description="mean price; null where no event has one")
    min: Measured = Field(description="lowest price")
    max: Measured = Field(description="highest price")
    events: int = Field(description="rows as read with a price")


class LeaderRow(Part):
    """A category or brand with many events."""

    name: str = Field(description='main category or brand; "unknown" where it is missing')
    events: int = Field(description="rows as read")
    purchases: int = Field(description="rows as read that are purchases")
    revenue: float = Field(description="price × quantity of distinct purchases, in shop currency")


class EventFigures(Part):
    """What the events are."""

    users: int = Field(description="distinct users")
    products: int = Field(description="distinct products")
    first: datetime = Field(description="time of the first event, UTC")
    last: datetime = Field(description="time of the last event, UTC")
    event_mix: tuple[EventMixRow, ...] = Field(description="by event type")
    missing: tuple[MissingRow, ...] = Field(description="by column that may be empty")
    prices_not_positive: int = Field(description="rows as read whose price is 0 or below")
    by_day: tuple[DayRow, ...] = Field(description="by day, in order")
    by_hour: tuple[HourRow, ...] = Field(description="by hour of the day; hours without events are left out")
    price_by_event_type: tuple[PriceRow, ...] = Field(description="by event type")
    top_categories: tuple[LeaderRow, ...] = Field(description="main categories with the most events")
    top_brands: tuple[LeaderRow, ...] = Field(description="brands with the most events")


class SessionLengthRow(Part):
    """Sessions of one length, or of several near each other."""

    events: int = Field(description="events in the session, the fewest of these sessions")
    to: int | None = Field(default=None, description="most events of these sessions; null for one length, and the last")
    sessions: int = Field(description="sessions of these lengths")


class SessionFigures(Part):
    """Length and duration of sessions; null where the log has none."""

    count: int = Field(description="sessions")
    buying: int = Field(description="of these, sessions with a purchase")
    mean_events: Measured = Field(description="mean number of events")
    std_events: Measured = Field(description="its standard deviation; null for a single session")
    min_events: int | None = Field(description="fewest events")
    p25_events: int | None = Field(description="first quartile")
    median_events: int | None = Field(description="median")
    p75_events: int | None = Field(description="third quartile")
    max_events: int | None = Field(description="most events")
    mean_minutes: Measured = Field(description="mean duration, minutes")
    median_minutes: Measured = Field(description="median duration, minutes")
    lengths: tuple[SessionLengthRow, ...] = Field(description="sessions by number of events")
    lengths_cap: int = Field(description="in `lengths`, stands for that many events or more")


class Exploration(Part):
    """What is in the log, before any model."""

    events: EventFigures = Field(description="events, users, products, prices")
    sessions: SessionFigures = Field(description="length and duration of sessions")


class TellingFeature(Part):
    """A feature that decides who is in a segment."""

    feature: str = Field(description="its name, as in `means`")
    apart: float = Field(
        description="how far the segment's centre is from the average user, in standard deviations of the feature, "
        "of its logarithm where it has a long tail"
    )
    share: float = Field(description="its share of the squared distance between the two as weighed, 0 to 1")


class SegmentRow(Part):
    """A customer segment."""

    segment_id: int = Field(description="its number, from 0; stays from training to training")
    segment: str = Field(description="its name, which no other segment of the run has")
    traits: tuple[str, ...] = Field(description="what sets it apart, in plain words, the most telling first")
    features: tuple[TellingFeature, ...] = Field(description="the three features that matter most")
    users: int = Field(description="users in it")
    share: float = Field(description="share of all users, 0 to 1")
    revenue_share: Measured = Field(description="share of all spending, 0 to 1; null where nothing is spent")
    means: Means = Field(description="what its users are like on average")


class TriedNumber(Part):
    """A number of segments that was tried."""

    segments: int = Field(description="the number")
    silhouette: Measured = Field(description="how well they are set apart, -1 to 1")
    stability: float = Field(
        description="adjusted Rand index between them and those of samples of the users, mean; 1 is found again as is"
    )


class Move(Part):
    """Users who were in one segment, and are in one now."""

    was_id: int = Field(description="segment that they were in, its number then")
    was: str = Field(description="its name then")
    segment_id: int = Field(description="segment that they are in")
    segment: str = Field(description="its name")
    users: int = Field(description="users")
    share: float = Field(description="share of those who were in the segment and are still known, 0 to 1")


class Movement(Part):
    """How users moved between segments since the bundle in use was trained."""

    since: str = Field(description="version of that bundle")
    users: int = Field(description="users known to both trainings")
    stayed: int = Field(description="of them, users whose segment is the same")
    newcomers: int = Field(description="users that the earlier one did not know")
    moves: tuple[Move, ...] = Field(description="by earlier and present segment; pairs without users are left out")


class Segments(Part):
    """Customer segments, found by K-Means."""

    silhouette: Measured = Field(description="how well they are set apart, -1 to 1; null if there is only one")
    rows: tuple[SegmentRow, ...] = Field(description="by segment id; empty segments are left out")
    tried: tuple[TriedNumber, ...] = Field(
        default=(), description="numbers of segments that were tried, where the number was left to the data"
    )
    movement: Movement | None = Field(default=None, description="since the bundle in use; null without one")


class ProfileRow(Part):
    """Users whose behaviour meets a rule."""

    profile: str = Field(description="name of the behaviour")
    users: int = Field(description="users of this profile")
    share: float = Field(description="share of all users, 0 to 1")
    rule: str = Field(description="the rule in words")


class Bin(Part):
    """A bar of a histogram, low <= value < high; the last one also holds what lies above it."""

    low: float = Field(description="lower edge")
    high: float = Field(description="upper edge")
    recommendations: int = Field(description="recommendations in it")


class Cell(Part):
    """A cell of the grid of scores and prices."""

    score_bin: int = Field(description="position in `scores`, from 0")
    price_bin: int = Field(description="position in `prices`, from 0")
    recommendations: int = Field(description="recommendations in it")


class RecommendedRow(Part):
    """Recommendations of one category, brand or source."""

    name: str = Field(description="category, brand or generator")
    recommendations: int = Field(description="recommendations")
    mean_score: Measured = Field(description="mean of their scores")


class PerUserRow(Part):
    """Users with a given number of recommendations."""

    recommendations: int = Field(description="recommendations of a user")
    users: int = Field(description="users with that number")


class RecommendationFigures(Part):
    """The numbers behind the charts of recommendations."""

    recommendations: int = Field(description="recommendations in all lists")
    users: int = Field(description="users with a list")
    without_price: int = Field(description="recommendations whose product has no price")
    highest_score: Measured = Field(description="highest score; null without recommendations")
    highest_price: Measured = Field(description="highest price, in shop currency")
    scores: tuple[Bin, ...] = Field(description="histogram of scores")
    prices: tuple[Bin, ...] = Field(description="histogram of prices, in shop currency")
    grid: tuple[Cell, ...] = Field(description="score against price; empty cells are left out")
    categories: tuple[RecommendedRow, ...] = Field(description="the most recommended, without unknown ones")
    brands: tuple[RecommendedRow, ...] = Field(description="likewise")
    unknown_categories: int = Field(description="recommendations whose category is not known")
    unknown_brands: int = Field(description="recommendations whose brand is not known")
    sources: tuple[RecommendedRow, ...] = Field(description="by generator that contributed most")
    per_user: tuple[PerUserRow, ...] = Field(description="users by number of recommendations")
    per_user_cap: int = Field(description="in `per_user`, stands for that many or more")
