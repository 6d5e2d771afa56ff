"""Lists for what is asked, with what people are told of each place, by hand."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from app.api.answers import recommendations
from app.api.attribution.answered import Answered
from app.api.models import Ask, RankedProduct, Recommendations, SimilarAsk
from app.api.posted.sessions import PostedSessions
from app.api.shop import Shop
from app.api.variants import Variant
from app.events.layout import REES46
from app.registry.identities import EVERYONE
from app.serve.catalogue import Catalogue
from tests.stream.shop import ANNA, PRODUCTS, recommender

NOW = 1.6e9
TITLES = ["Red shoe" if product == 120 else None for product in PRODUCTS.tolist()]


@pytest.fixture(scope="module")
def shop() -> Shop:
    """One product has a title."""
    plain = recommender()
    titled = plain.catalogue.table.set_column(2, "title", pa.array(TITLES, pa.string()))
    model = replace(plain, catalogue=Catalogue.of(titled))
    return Shop(SimpleNamespace(recommender=model, version="a", obeyed=frozenset()))


def answered(shop: Shop, asks: Sequence[Ask]) -> tuple[list[Recommendations], list[Answered]]:
    kept: list[Answered] = []

    def remember(one: Answered) -> str:
        kept.append(one)
        return f"id-{len(kept)}"

    sessions = PostedSessions(REES46, 6, 100)
    return recommendations(Variant("champion", shop, ""), sessions, EVERYONE, asks, NOW, remember), kept


def ask(user: int | None, *session: int, kind: type[Ask] = Ask, **more: object) -> Ask:
    events = [{"event_type": "view", "product_id": product} for product in session]
    return kind.model_validate({"user_id": user, "session": events, **more})


ANYONE = ask(None, count=2)
VISITOR = ask(None, 120, count=29)
USER = ask(ANNA, 120, count=29)
SIMILAR = ask(None, 120, kind=SimilarAsk, count=1)
OF_CATEGORY = ask(None, count=1, filters={"category": "b"})
FEW = ask(None, 128, count=5, filters={"price_min": 29})  # 129 and 130, of which one is on screen
EVERY_ASK = (ANYONE, VISITOR, USER, SIMILAR, OF_CATEGORY, FEW)


def told(shop: Shop, one: Ask) -> dict[str, RankedProduct]:
    (found,), _ = answered(shop, [one])
    assert [product.rank for product in found.products] == [*range(1, len(found.products) + 1)]
    return {product.product_id: product for product in found.products}


def test_nothing_speaks_for_a_list_for_anyone(shop: Shop) -> None:
    places = told(shop, ANYONE)
    assert [*places] == ["100", "101"]
    assert {place.reason.text for place in places.values()} == {"popular in the shop"}
    assert told(shop, OF_CATEGORY)["115"].reason.text == "popular in b"


def test_a_session_speaks_for_what_goes_with_it_and_its_category_is_near(shop: Shop) -> None:
    places = told(shop, VISITOR)
    assert {product for product, place in places.items() if place.source == "covisitation"} == {
        "121", "122", "123", "124", "125"
    }  # fmt: skip
    reason = places["121"].reason
    assert (reason.kind, reason.product_id, reason.touched_in) == ("session", "120", "session")
    assert reason.text == "often seen together with Red shoe, seen in this session"
    others = {place.category: place.reason.text for place in places.values() if place.source == "popularity"}
    assert others == {"b.y": "popular in b", "a.x": "popular in the shop"}


def test_what_was_touched_before_is_told_apart_from_the_session(shop: Shop) -> None:
    places = told(shop, USER)
    assert places["121"].reason.touched_in == "session"
    assert (places["106"].reason.product_id, places["106"].reason.touched_in) == ("101", "history")
    assert places["106"].reason.text == "often seen together with acme x 101, seen in an earlier visit"
    assert (places["101"].reason.kind, places["128"].reason.kind) == ("history", "category")


def test_who_asks_what_goes_with_a_product_touched_nothing(shop: Shop) -> None:
    reason = told(shop, SIMILAR)["121"].reason
    assert (reason.kind, reason.text) == ("product", "often seen together with Red shoe")
    assert (reason.product_id, reason.touched_in) == ("120", None)


def test_a_list_that_is_not_full_holds_what_there_is(shop: Shop) -> None:
    assert [*told(shop, FEW)] == ["129"]


def test_together_each_list_is_what_it_is_alone(shop: Shop) -> None:
    lists, kept = answered(shop, EVERY_ASK)
    assert [{product.product_id: product for product in one.products} for one in lists] == [
        told(shop, one) for one in EVERY_ASK
    ]
    for one in kept:
        causes = [(one.causes[cause].source, one.causes[cause].reason) for cause in one.because]
        (same,) = (found for found in lists if [product.product_id for product in found.products] == [*one.products])
        assert causes == [(product.source, product.reason.kind) for product in same.products]


def test_an_answer_reads_as_what_it_was_made_of(shop: Shop) -> None:
    for one in answered(shop, EVERY_ASK)[0]:
        assert Recommendations.model_validate_json(one.model_dump_json()) == one
