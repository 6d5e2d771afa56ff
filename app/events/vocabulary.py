"""The words of an event, its columns, and how much interest each type shows. Needs no Spark."""

from typing import Literal, get_args

EventType = Literal["view", "cart", "remove_from_cart", "purchase"]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
VIEW, CART, REMOVE, PURCHASE = EVENT_TYPES
#: Event types by code, the least committed first: of a product touched several times the largest counts.
KINDS = (REMOVE, VIEW, CART, PURCHASE)
UNKNOWN = "unknown"  #: stands for a missing attribute; never one that two products share
MAX_QUANTITY = 1_000_000  #: of one purchase: more is a slip, and its money might be more than an integer can hold
EARLIEST = "2000-01-01 00:00:00"  #: in UTC; an earlier time is a clock error, and would spoil every recency
MISSING_TEXT = ("", "nan", "null", "none")  #: what a file writes where there is nothing, in lower case
#: What a catalogue writes of a product that can be bought, or can't, in lower case.
YES = ("true", "yes", "y", "t", "available", "in stock", "in_stock", "instock", "active")
NO = ("false", "no", "n", "f", "unavailable", "out of stock", "out_of_stock", "outofstock", "sold out", "inactive")

#: Implicit rating of one event; a removal counts as none.
RATING = {VIEW: 1.0, CART: 3.0, PURCHASE: 5.0}
MAX_RATING = 10.0  #: cap of a pair's summed rating

#: Columns of touches, arrays of equal length, oldest first: product_ids (long), kinds (int, in `KINDS`),
#: weights (float), times (double, seconds since 1970).
TOUCHES = ("product_ids", "kinds", "weights", "times")
#: Columns of the REES46 months, which are those of the default layout.
RAW_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
#: Columns that another layout may add.
EXTRA_COLUMNS = ("quantity", "event_id", "order_id", "recommendation_id")
