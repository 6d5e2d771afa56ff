"""What is asked and answered: the types of the API, from which its OpenAPI is made."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from app.events.ids import LARGEST, SMALLEST
from app.events.vocabulary import MAX_QUANTITY, EventType

MOST_PRODUCTS = 100  #: of a list, as `Settings.top_k` allows
MOST_ASKS = 100  #: lists in one request
MOST_EVENTS = 1_000  #: posted in one request, or of a session given in one
MOST_EXCLUDED = 1_000

Text = Annotated[str, Field(min_length=1, max_length=256)]


def _as_text(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and SMALLEST <= value <= LARGEST:
        return str(value)
    if not isinstance(value, str):
        raise ValueError("an id is text, or an integer of 64 bits")
    return value


#: The shop's own id: text or a number, text from here on.
Id = Annotated[
    Text,
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 256},
                {"type": "integer", "minimum": SMALLEST, "maximum": LARGEST},
            ]
        }
    ),
]
Touched = Literal["session", "history"]
ReasonKind = Literal["session", "history", "product", "category", "shop"]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Asked(BaseModel):
    """A part of a request: an unknown key is refused, since it is a misspelt one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoQuery(Asked):
    """The query of a route that takes none."""


class Between(Asked):
    """Something between two prices."""

    price_min: Price | None = Field(default=None, description="lowest price; products without a price don't pass")
    price_max: Price | None = Field(default=None, description="highest price; products without a price don't pass")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError("price_min is above price_max: no product can pass")
        return self


class Filters(Between):
    """What products of a list must be like. A list is full all the same wherever enough products pass."""

    category: Text | None = Field(
        default=None, description="path of a category: it and all below it", examples=["electronics.smartphone"]
    )
    exclude: tuple[Id, ...] = Field(
        default=(), max_length=MOST_EXCLUDED, description="products that must not be in the list"
    )

    @property
    def free(self) -> bool:
        """Whether every product passes."""
        return self is ALL or self == ALL  # to compare the fields takes longer, and most asks have the default


ALL = Filters.model_construct(category=None, price_min=None, price_max=None, exclude=())


class SessionEvent(Asked):
    """What was done with a product in a session."""

    event_type: EventType
    product_id: Id
    event_time: AwareDatetime | None = Field(
        default=None, description="moment with a time zone; of all events or of none"
    )


class Ask(Asked):
    """Whom a list is for, and what it must be like. Without a user and a session: popular products."""

    user_id: Id | None = Field(default=None, description="the shop's own id; an unknown user gets popular products")
    session: tuple[SessionEvent, ...] | None = Field(
        default=None,
        max_length=MOST_EVENTS,
        description="what was done in this session, the oldest first; if not given, the user's session from the "
        "events posted",
    )
    count: int = Field(default=10, ge=1, le=MOST_PRODUCTS, description="products wanted")
    filters: Filters = Field(default=ALL, description="what the products must be like")


class SimilarAsk(Ask):
    """What goes with the one product of the session, whoever looks at it."""


class Asks(Asked):
    """Many lists at once."""

    requests: tuple[Ask, ...] = Field(min_length=1, max_length=MOST_ASKS)


@dataclass(slots=True)  # these two are plain, since a list has twenty, and a model takes three times as long to make
class Reason:
    """Why a product is in a list."""

    kind: Annotated[
        ReasonKind,
        Field(
            description="goes with something of this session, of an earlier visit, or with the product asked about; or "
            "popular in the category, or in the shop"
        ),
    ]
    text: Annotated[str, Field(description="in words", examples=["often seen with acme smartphone in this session"])]
    product_id: Annotated[str | None, Field(description="the touched product that speaks most for it, if one does")] = (
        None
    )
    touched_in: Annotated[Touched | None, Field(description="where that product was touched")] = None


@dataclass(slots=True, kw_only=True)
class RankedProduct:
    """A place of a list."""

    rank: Annotated[int, Field(description="1 is best")]
    product_id: Annotated[str, Field(description="the shop's own id")]
    title: Annotated[str | None, Field(description="where a catalogue gives it")] = None
    category: Annotated[str | None, Field(description="path of the category")] = None
    brand: str | None = None
    price: Annotated[float | None, Field(description="mean price, in the shop's currency")] = None
    score: Annotated[float, Field(description="compares places of one list; 0 where the product only fills it up")]
    source: Annotated[str, Field(description="generator that contributed most", examples=["covisitation"])]
    reason: Reason


class Recommendations(BaseModel):
    """A list."""

    recommendation_id: str = Field(description="of this list; events that it led to carry it")
    model_version: str = Field(description="bundle that answered")
    variant: str = Field(description="variant that answered", examples=["champion"])
    user_id: str | None = None
    products: list[RankedProduct]


class Lists(BaseModel):
    """Lists, in the order of the requests."""

    lists: list[Recommendations]


class PostedEvent(Asked):
    """Something that a user did."""

    event_id: Text | None = Field(
        default=None,
        description="the client's own id of the event: sent again, it is not taken twice; without one it is",
        examples=["9b2f4c1e-7c1d-4a53-8a9e-3f6d1c0b7a11"],
    )
    event_type: EventType
    product_id: Id
    user_id: Id
    user_session: Text | None = Field(
        default=None, description="id of the session; without one a session ends with a long silence"
    )
    event_time: AwareDatetime | None = Field(default=None, description="moment with a time zone; now, if not given")
    category_id: Annotated[StrictInt, Field(ge=SMALLEST, le=LARGEST)] | None = None
    category_code: Text | None = Field(default=None, examples=["electronics.smartphone"])
    brand: Text | None = None
    price: Price | None = Field(default=None, description="of one, in the shop's currency; send it with purchases")
    quantity: Annotated[float, Field(gt=0, le=MAX_QUANTITY)] | None = Field(default=None, description="1 if not given")
    recommendation_id: Text | None = Field(default=None, description="of the list that led to the event")


class PostedEvents(Asked):
    """Events, taken together or not at all."""

    events: tuple[PostedEvent, ...] = Field(min_length=1, max_length=MOST_EVENTS)


class Receipt(BaseModel):
    """Events that are durable now, and will reach the stream."""

    accepted: int = Field(description="events that are new")
    duplicates: int = Field(description="events that were accepted before, by their ids")
    event_ids: list[str] = Field(description="ids of the events, in their order; made up where none was given")


class Place(BaseModel):
    """One of the places in which something was known of a user."""

    place: str = Field(examples=["archive"])
    done: bool = Field(description="of a forgetting: nothing from before is left there; of a merge: the two are one")
    detail: str = Field(description="what it waits for, if it is not done")


class Forgetting(BaseModel):
    """What has become of a user's data from before a moment. What comes later is a new user's."""

    user_id: str
    forgotten_at: AwareDatetime
    done: bool = Field(description="nothing is left anywhere")
    places: list[Place]


class MergeAsk(Asked):
    """Whose history and sessions become whose, from the first event on, and with what is yet to come."""

    from_user_id: Id = Field(description="the shop's own id; known to nobody by itself from then on")
    into_user_id: Id = Field(description="the shop's own id; an id that nobody knows yet may be merged too")


class Merging(BaseModel):
    """Two users who are one."""

    from_user_id: str
    into_user_id: str
    user_id: str = Field(description="whose both are now: another than `into_user_id` where that one was merged too")
    merged_at: AwareDatetime
    done: bool = Field(description="all places take the two for one")
    places: list[Place]


class Product(BaseModel):
    """A product of the catalogue."""

    product_id: str
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    available: bool


class Products(BaseModel):
    """Products, the most popular first."""

    total: int = Field(description="how many there are in all")
    products: list[Product]


class Category(BaseModel):
    """A category."""

    category: str = Field(description="its whole path", examples=["electronics.smartphone"])
    products: int = Field(description="available products in it and all below it")


class Categories(BaseModel):
    """Categories, the largest first."""

    categories: list[Category]
    model_version: str
