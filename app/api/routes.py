"""The routes under /v1."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Discriminator, Field, Tag
from starlette.convertors import Convertor, register_url_convertor

from app.api.models import (
    MOST_EXCLUDED,
    MOST_PRODUCTS,
    Ask,
    Asked,
    Asks,
    Between,
    Categories,
    Filters,
    Forgetting,
    Lists,
    MergeAsk,
    Merging,
    NoQuery,
    PostedEvent,
    PostedEvents,
    Product,
    Products,
    Receipt,
    Recommendations,
    SessionEvent,
    SimilarAsk,
    Text,
)
from app.api.problems import MANY, ONE, RefusedError
from app.api.service import Service
from app.serve.ragged import NONE


class IdConvertor(Convertor[str]):
    """An id in a path: any text, slashes and line breaks too."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", IdConvertor())
PAGE = 24  #: products of a search, unless another number is asked for

router = APIRouter(prefix="/v1")


class ListQuery(Between):
    """What a list must be like, as the query of a URL."""

    count: int = Field(default=10, ge=1, le=MOST_PRODUCTS, description="products wanted")
    category: Text | None = Field(default=None, description="path of a category: it and all below it")
    exclude: tuple[Text, ...] = Field(
        default=(), max_length=MOST_EXCLUDED, description="products that must not be in the list"
    )

    def ask(self, **whom: object) -> Ask:
        """The same as the body of a request."""
        filters = Filters.model_validate(self.model_dump(exclude={"count"}))
        return Ask.model_validate({"count": self.count, "filters": filters, **whom})


async def service(request: Request) -> Service:  # async, or the framework would ask a thread for it
    """What the application was made with."""
    found: Service = request.app.state.service
    return found


class ProductQuery(Asked):
    """What products are looked for, as the query of a URL."""

    search: str | None = Field(default=None, max_length=256, description="words of id, title, brand or category")
    category: str | None = Field(default=None, max_length=256, description="it and all below it")
    count: int = Field(default=PAGE, ge=1, le=MOST_PRODUCTS)
    offset: int = Field(default=0, ge=0, le=10**9)


class CategoryQuery(Asked):
    """Which categories are asked for, as the query of a URL."""

    parent: Text | None = Field(
        default=None,
        description="path of a category: those right below it; if not given, the main categories",
        examples=["electronics"],
    )


Behind = Annotated[Service, Depends(service)]
ShopId = Annotated[str, Path(min_length=1, max_length=256, description="the shop's own id")]
Listing = Annotated[ListQuery, Query()]
Nothing = Annotated[NoQuery, Query()]

#: One event, or many; told apart by the one key that only many have, so that errors speak of what was meant.
OneOrMany = Annotated[
    Annotated[PostedEvent, Tag(ONE)] | Annotated[PostedEvents, Tag(MANY)],
    Discriminator(lambda body: MANY if isinstance(body, dict) and "events" in body else ONE),
]


def answer(model: BaseModel) -> Response:
    """An answer whose type was checked when it was made: the framework needn't do it again."""
    return Response(model.model_dump_json(), media_type="application/json")


@router.post("/recommendations", response_model=Recommendations, tags=["lists"])
async def recommend(ask: Ask, _: Nothing, behind: Behind) -> Response:
    """A list for a user, for a session given in the request, or for both.

    Without a user and a session: popular products.
    """
    return answer((await behind.recommend(ask))[0])


@router.post("/recommendations/batch", response_model=Lists, tags=["lists"])
async def recommend_many(asks: Asks, _: Nothing, behind: Behind) -> Response:
    """Many lists at once, all of a variant by the same model version."""
    return answer(Lists(lists=await behind.recommend(*asks.requests)))


@router.get("/users/{user_id:id}/recommendations", response_model=Recommendations, tags=["lists"])
async def recommend_to_user(user_id: ShopId, query: Listing, behind: Behind) -> Response:
    """A list for a user, by what the model knows and by the events posted since.

    A user that the model doesn't know, and of whom nothing was posted, gets popular products.
    """
    return answer((await behind.recommend(query.ask(user_id=user_id)))[0])


@router.get("/products/{product_id:id}/similar", response_model=Recommendations, tags=["lists"])
async def similar(product_id: ShopId, query: Listing, behind: Behind) -> Response:
    """What goes with a product, for anyone; for a product that the model doesn't know, popular products."""
    seen = SessionEvent(event_type="view", product_id=product_id)
    ask = SimilarAsk.model_validate(query.ask(session=(seen,)).model_dump())
    return answer((await behind.recommend(ask))[0])


@router.get("/popular", response_model=Recommendations, tags=["lists"])
async def popular(query: Listing, behind: Behind) -> Response:
    """What is popular in the shop, or in a category."""
    return answer((await behind.recommend(query.ask(session=())))[0])


@router.post("/events", response_model=Receipt, tags=["events"])
async def post_events(posted: OneOrMany, _: Nothing, behind: Behind) -> Response:
    """Take events in, one or many: all of a request or none of it.

    Answered once they are durable. After an error or without an answer send the same again, with the same `event_id`:
    an event is taken once.
    """
    return answer(await behind.post(posted))


@router.post("/users/merge", response_model=Merging, tags=["users"])
async def merge(ask: MergeAsk, _: Nothing, behind: Behind) -> Response:
    """Make one user's history and sessions another's, as when a visitor signs in.

    Events of both count for the other, whenever they happened or come. Answered with a receipt once it is durable;
    asked for again, nothing changes. 409 if it goes against an earlier merge, or if one of the two was forgotten.
    """
    return answer(await behind.merge(ask))


@router.delete("/users/{user_id:id}", response_model=Forgetting, tags=["users"])
async def forget(user_id: ShopId, _: Nothing, behind: Behind) -> Response:
    """Forget a user: from now on a stranger, in all lists; what happened before counts for nobody.

    All who were merged with the user are forgotten too. What happens from now on is a new user's. Answered with the
    receipt, which can be asked for again.
    """
    return answer(await behind.forget(user_id))


@router.get("/users/{user_id:id}", response_model=Forgetting, tags=["users"])
async def forgetting(user_id: ShopId, _: Nothing, behind: Behind) -> Response:
    """The receipt of a forgetting: place by place what is done, and what the others wait for."""
    return answer(await behind.forgetting(user_id))


@router.get("/products", tags=["catalogue"])
def products(query: Annotated[ProductQuery, Query()], behind: Behind) -> Products:
    """Products that are available, the most popular first."""
    shop = behind.shop
    found = shop.found(query.search, query.category)
    return Products(total=len(found), products=shop.described(found[query.offset :][: query.count]))


@router.get("/products/{product_id:id}", tags=["catalogue"])
def product(product_id: ShopId, _: Nothing, behind: Behind) -> Product:
    """One product."""
    shop = behind.shop
    item = shop.product(product_id)
    if item == NONE:
        raise RefusedError(404, "the model knows no product of this id")
    return shop.described(shop.products([product_id]))[0]


@router.get("/categories", tags=["catalogue"])
def categories(query: Annotated[CategoryQuery, Query()], behind: Behind) -> Categories:
    """Main categories, or those right below a category, the largest first."""
    shop = behind.shop
    return Categories(categories=shop.categories(query.parent), model_version=shop.bundle.version)
