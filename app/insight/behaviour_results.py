"""What is found about behaviour in the shop, typed to the leaf; `RunResult` holds these parts."""

from typing import Literal

from pydantic import Field

from app.core.part import Measured, Part
from app.events.vocabulary import EventType


class FunnelGroup(Part):
    """Sessions and users of one kind that reach each step."""

    name: str = Field(description='segment, category or price band; "all" for everybody')
    sessions: tuple[int, ...] = Field(description="sessions that reach each step, in the order of `steps`")
    users: tuple[int, ...] | None = Field(
        description="users that reach each step within the window, likewise; null of categories and price bands"
    )


class Instead(Part):
    """What came right after the step at which sessions stopped."""

    step: EventType = Field(description="the last step that they reached")
    event: EventType | None = Field(description="the event that came next; null where the session ended")
    same_product: bool = Field(description="whether that event was of the product of the step")
    sessions: int = Field(description="sessions")
    share: float = Field(description="share of the sessions that stopped at the step, 0 to 1")


class Funnel(Part):
    """Ordered steps from view to purchase, by session and by user."""

    steps: tuple[EventType, ...] = Field(description="those of view, cart, purchase that the log has, in this order")
    window_days: float = Field(description="from a user's first step to the last, at most")
    total: FunnelGroup = Field(description="everybody")
    open_users: int = Field(
        description="users short of the last step whose latest first step is less than a window before the end: "
        "they may still get there"
    )
    buying_sessions: int = Field(description="sessions with the last step, whatever came before")
    direct_sessions: int = Field(description="of these, sessions with none of the steps between the first and the last")
    instead: tuple[Instead, ...] = Field(description="what stopped sessions did next, by step, the most frequent first")
    by_segment: tuple[FunnelGroup, ...] = Field(description="by segment of the user; empty where there are none")
    by_category: tuple[FunnelGroup, ...] = Field(
        description="all steps within one category; of those with the most events; empty where none is known"
    )
    by_price: tuple[FunnelGroup, ...] = Field(
        description="all steps within one band of prices; empty where none is known, or they differ too little"
    )


class CartOutcome(Part):
    """Cart lines that came to one end. A line is a product that a user has put into the cart."""

    outcome: Literal["bought", "removed", "left", "open"] = Field(
        description="bought within the window after the last cart event, else taken out, else left behind; "
        "open where the window was not over when the data ended"
    )
    lines: int = Field(description="cart lines")
    value: float | None = Field(
        description="price × quantity of the last cart event, in shop currency; null without prices"
    )


class LeftBehind(Part):
    """A product or category of which something was left behind."""

    name: str = Field(description="title or id of the product; category")
    category: str | None = Field(description="of a product; null where it is not known")
    left: int = Field(description="cart lines left behind")
    value: float | None = Field(description="what they were worth, in shop currency; null where no price is known")
    decided: int = Field(description="cart lines whose window is over, or that were bought")


class Waited(Part):
    """Purchases that came so long after the product was first put into the cart."""

    below_seconds: int | None = Field(description="the bar ends here, and begins where the one before ends; null: open")
    purchases: int = Field(description="cart lines bought after so long")


class CartTimes(Part):
    """Time from the first cart event of a product to its first purchase after that, however long."""

    purchases: int = Field(description="cart lines bought at last")
    p25_seconds: int = Field(description="first quartile")
    median_seconds: int = Field(description="median")
    p75_seconds: int = Field(description="third quartile")
    p90_seconds: int = Field(description="90th percentile")
    bars: tuple[Waited, ...] = Field(description="histogram, the shortest first")


class Carts(Part):
    """What becomes of what is put into carts."""

    window_hours: int = Field(description="time in which a cart line must be bought")
    outcomes: tuple[CartOutcome, ...] = Field(description="bought, removed, left, open")
    products: tuple[LeftBehind, ...] = Field(description="of which most was left, by value, else by lines")
    categories: tuple[LeftBehind, ...] = Field(description="likewise; empty where none is known")
    times: CartTimes | None = Field(description="time to purchase; null where nothing was bought from a cart")


class ShopRate(Part):
    """How readily viewers of a product do something, over all products."""

    event: Literal["cart", "purchase"] = Field(description="what they do")
    products: int = Field(description="products that somebody has viewed")
    viewers: int = Field(description="pairs of a user and a product that the user has viewed")
    rate: float = Field(description="share of these that were put into the cart, or bought; 0 to 1")
    alpha: Measured = Field(description="of the Beta prior; null where products do not differ beyond chance")
    beta: Measured = Field(description="likewise")
    above: int = Field(description="products whose 95 % interval lies above the rate")
    below: int = Field(description="products whose 95 % interval lies below it")


class ProductRow(Part):
    """How one product does."""

    product: str = Field(description="title or id")
    category: str | None = Field(description="null where it is not known")
    viewers: int = Field(description="users who viewed it")
    buyers: int = Field(description="of these, users who bought it")
    purchase_rate: Measured = Field(description="smoothed share of viewers who buy; null without views")
    low: Measured = Field(description="lower end of its 95 % interval")
    high: Measured = Field(description="upper end")
    purchases: int = Field(description="purchase events, whoever viewed before")
    revenue: float | None = Field(description="price × quantity, in shop currency; null where no purchase has a price")


class Performance(Part):
    """How products do."""

    products: int = Field(description="products that somebody has touched")
    rates: tuple[ShopRate, ...] = Field(description="of carts and purchases; without views there are none")
    above: tuple[ProductRow, ...] = Field(description="bought unusually readily, the surest first")
    below: tuple[ProductRow, ...] = Field(description="bought unusually rarely, the surest first")
    best_sellers: tuple[ProductRow, ...] = Field(description="with the most revenue, else the most purchases")


class Transition(Part):
    """How often one thing came right after another in a session."""

    before: str = Field(description='event type or category, or "start" of the session')
    after: str = Field(description='event type or category, or "end" of the session')
    times: int = Field(description="how often")
    share: float = Field(description="share of what came after `before`, 0 to 1")


class Journeys(Part):
    """What people do next."""

    events: tuple[Transition, ...] = Field(description="from event to event")
    categories: tuple[Transition, ...] = Field(
        description="from product to another product, by category; empty where none is known"
    )


class Behaviour(Part):
    """What people do in the shop; null where the log can't tell."""

    has_prices: bool = Field(description="whether any price is known")
    has_categories: bool = Field(description="whether any category is known")
    funnel: Funnel | None = Field(description="null unless two of view, cart, purchase are in the log")
    carts: Carts | None = Field(description="null where the log has no cart events")
    performance: Performance = Field(description="how products do")
    paths: Journeys | None = Field(description="null where the log has one type of event alone")
