"""Lists over HTTP are the recommender's own, with filters, reasons and the shop's ids."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pytest
from fastapi.dependencies.utils import solve_dependencies

from app.api.shop import Shop
from app.core.settings import Settings
from app.serve.catalogue import Catalogue
from app.serve.recommender import Recommender
from tests.api.client import Answer, Api, event, ids
from tests.api.conftest import MakeApi
from tests.arrays import visitors
from tests.stream.shop import ANNA, HALF, PRODUCTS, STRANGER, recommender, write_bundle

TEXT_LAYOUT = """
columns: {event_time: t, event_type: e, product_id: p, user_id: u, user_session: s, event_id: i, recommendation_id: r}
ids: text
"""


def own(model: Recommender, user: int, session: list[int], k: int = 10) -> list[int]:
    """What the recommender itself answers now."""
    now = 1.6e9  # Anna's purchase was the day before `START`: long ago
    items = model.recommend(visitors([user], [session], now, [[1.0] * len(session)]), k).lists.items[0]
    return PRODUCTS[items].tolist()


def views(*products: int | str) -> list[dict[str, Any]]:
    return [{"event_type": "view", "product_id": product} for product in products]


def test_a_list_is_that_of_the_recommender(api: Api) -> None:
    model = recommender()
    assert ids(api.get(f"/v1/users/{ANNA}/recommendations")) == own(model, ANNA, [])
    assert ids(api.get(f"/v1/users/{STRANGER}/recommendations")) == own(model, STRANGER, [])
    for session in ([100], [100, 120, 103], [*range(100, 128)]):
        answer = api.post("/v1/recommendations", {"session": views(*session)})
        assert ids(answer) == own(model, STRANGER, session), session
        answer = api.post("/v1/recommendations", {"user_id": ANNA, "session": views(*session), "count": 7})
        assert ids(answer) == own(model, ANNA, session, 7), session


def test_a_known_answer(api: Api) -> None:
    # Products are seen with the next five of their category; those of the last touched count most.
    answer = api.post("/v1/recommendations", {"session": views(120), "count": 5})
    assert ids(answer) == [121, 122, 123, 124, 125]
    first = answer.json()["products"][0]
    assert first | {"score": 0} == {
        "rank": 1,
        "product_id": "121",
        "title": None,
        "category": "b.y",
        "brand": "zeta",
        "price": 22.0,
        "score": 0,
        "source": "covisitation",
        "reason": {
            "kind": "session",
            "text": "often seen together with zeta y 120, seen in this session",
            "product_id": "120",
            "touched_in": "session",
        },
    }
    assert answer.json()["model_version"] == "a"
    assert answer.json()["variant"] == "champion"


def test_every_list_has_an_id_of_its_own(api: Api) -> None:
    asked = api.post("/v1/recommendations/batch", {"requests": [{}] * 50}).json()["lists"]
    assert len({one["recommendation_id"] for one in asked}) == 50


@pytest.mark.parametrize(
    "user", ["nobody", "999", "5.5", "-1", "null", "a/b", "a%0Ab", "..%2Fmodels", "%00", "9" * 30, "é"]
)
def test_an_unknown_user_gets_popular_products(api: Api, user: str) -> None:
    answer = api.get(f"/v1/users/{user}/recommendations?count=3")
    assert ids(answer) == [100, 101, 102]
    assert {product["reason"]["text"] for product in answer.json()["products"]} == {"popular in the shop"}


def test_what_goes_with_a_product(api: Api) -> None:
    answer = api.get("/v1/products/103/similar?count=5")
    assert ids(answer) == [104, 105, 106, 107, 108]
    assert answer.json()["products"][0]["reason"]["text"] == "often seen together with acme x 103"
    assert ids(api.get("/v1/products/unheard-of/similar?count=2")) == [100, 101]


def test_what_is_popular(api: Api) -> None:
    assert ids(api.get("/v1/popular?count=3")) == [100, 101, 102]
    answer = api.get("/v1/popular?category=b&count=3")
    assert ids(answer) == [115, 116, 117]
    assert answer.json()["products"][0]["reason"]["text"] == "popular in b"
    assert ids(api.get("/v1/popular?category=b.y&count=3")) == [115, 116, 117]
    assert ids(api.get("/v1/popular?category=b.nothing")) == []


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({"category": "b"}, range(115, 130)),
        ({"price_min": 10, "price_max": 12.5}, [109, 110, 111]),
        ({"exclude": [101, "102", "unknown"]}, [product for product in range(100, 130) if product not in (101, 102)]),
        ({"category": "a.x", "price_min": 14, "exclude": [114]}, [113]),
    ],
)
def test_a_filtered_list_is_full_and_holds_what_passes_alone(api: Api, filters: dict, passing: Any) -> None:
    for count in (3, 12, 100):
        answer = api.post(
            "/v1/recommendations", {"user_id": ANNA, "session": views(100), "filters": filters, "count": count}
        )
        may = set(passing) - {100}
        assert set(ids(answer)) <= may
        assert len(ids(answer)) == min(count, len(may))


def test_a_filter_keeps_the_order_of_the_list(api: Api) -> None:
    whole = ids(api.post("/v1/recommendations", {"session": views(100, 120), "count": 29}))
    filtered = ids(
        api.post("/v1/recommendations", {"session": views(100, 120), "filters": {"category": "b"}, "count": 5})
    )
    assert filtered == [product for product in whole if product >= 115][:5]


def test_a_filter_in_a_url_is_that_of_a_body(api: Api) -> None:
    url = api.get(f"/v1/users/{ANNA}/recommendations?category=a&price_max=9&exclude=101&exclude=104")
    filters = {"category": "a", "price_max": 9, "exclude": [101, 104]}
    assert ids(url) == ids(api.post("/v1/recommendations", {"user_id": ANNA, "filters": filters}))


def test_an_ask_that_is_right_is_read_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework is asked what is wrong with others alone: it takes longer than a list of one among many."""
    asked = Mock(side_effect=solve_dependencies)
    monkeypatch.setattr("fastapi.routing.solve_dependencies", asked)
    assert ids(api.post("/v1/recommendations", {"user_id": "101", "filters": {"price_max": 40}}))
    assert asked.call_count == 0
    assert api.post("/v1/recommendations", {"user": "101"}).status_code == 422
    assert asked.call_count == 1


def test_many_at_once_are_what_each_is_alone(api: Api) -> None:
    asks = [
        {"user_id": ANNA},
        {"session": views(120), "count": 3},
        {},
        {"user_id": ANNA, "filters": {"category": "b"}, "count": 30},
        {"session": views(100), "filters": {"price_min": 5}},
    ]
    alone = [ids(api.post("/v1/recommendations", ask)) for ask in asks]
    lists = api.post("/v1/recommendations/batch", {"requests": asks}).json()["lists"]
    assert [[int(product["product_id"]) for product in one["products"]] for one in lists] == alone


def test_requests_that_wait_together_are_answered_together(api: Api) -> None:
    api.together([("GET", f"/v1/users/{user}/recommendations", None) for user in range(40)])
    calls, lists = (api.metric(f"vitrine_api_batch_lists_{name}") for name in ("count", "sum"))
    assert lists == 40
    assert calls is not None
    assert calls <= 2, "the first perhaps alone, the others while it was worked out"


def test_many_at_once_let_others_have_their_turn(api: Api) -> None:
    """Each call of the recommender stops the event loop, so it is never for more than 640 places."""
    done = list[str]()

    async def asked(path: str, body: dict[str, Any] | None) -> None:
        answer = await api._client.request("POST" if body else "GET", path, json=body)
        assert answer.status_code == 200
        done.append(path)

    async def scene() -> None:
        many = asyncio.create_task(asked("/v1/recommendations/batch", {"requests": [{"count": 100}] * 100}))
        while not api.service.lists._running:
            await asyncio.sleep(0)
        await asyncio.gather(many, asked("/v1/popular", None), asked("/health/live", None))

    api._runner.run(scene())
    assert done[-1] == "/v1/recommendations/batch"
    assert api.metric("vitrine_api_batch_lists_sum") == 101
    assert api.metric("vitrine_api_batch_lists_bucket", le="8.0") == api.metric("vitrine_api_batch_lists_count") == 17


def test_too_many_that_wait_are_told_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.service.lists, "_longest", 30)  # places of three lists
    answers = api.together([("GET", "/v1/popular", None)] * 10)
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) >= 3, "three waiting, and one at work if it was quick"
    assert set(statuses) == {200, 503}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 503)


def test_a_session_may_say_when_and_of_all_or_of_none(api: Api) -> None:
    def timed(*moments: str | None) -> Answer:
        events = [
            {"event_type": "view", "product_id": 100 + 20 * place, "event_time": moment}
            for place, moment in enumerate(moments)
        ]
        return api.post("/v1/recommendations", {"session": events, "count": 1})

    assert ids(timed("2026-01-01T10:00:00Z", "2026-01-01T10:00:05Z")) == [121]
    assert ids(timed("2026-01-01T10:00:05Z", "2026-01-01T11:00:00+02:00")) == [101], "the first is the later one"
    for wrong in (("2026-01-01T10:00:00Z", None), ("2026-01-01T10:00:00",), ("1999-01-01T10:00:00Z",)):
        assert timed(*wrong).status_code == 422


def test_what_was_bought_in_the_session_is_not_in_the_list(api: Api) -> None:
    bought = [{"event_type": "purchase", "product_id": 101}, *views(100)]
    assert 101 not in ids(api.post("/v1/recommendations", {"session": bought, "count": 29}))


def test_the_shops_own_ids_may_be_text(tmp_path: Path) -> None:
    (tmp_path / "layout.yaml").write_text(TEXT_LAYOUT)
    write_bundle(tmp_path / "models", "a", recommender(text_ids=True))
    with Api(Settings(output=tmp_path, layout=tmp_path / "layout.yaml", commit_seconds=0)) as api:
        assert ids(api.get(f"/v1/users/{ANNA}/recommendations")) == own(recommender(), ANNA, [])
        assert api.post("/v1/events", event(1, user="anna-é", product="100")).status_code == 200
        assert ids(api.get("/v1/users/anna-é/recommendations?count=2")) == [101, 102]
        assert ids(api.get("/v1/users/Anna/recommendations?count=1")) == [100]


def test_products_and_categories(api: Api) -> None:
    found = api.get("/v1/products?search=ZETA y&count=2&offset=1").json()
    assert found["total"] == len(PRODUCTS) - HALF
    assert [product["product_id"] for product in found["products"]] == ["116", "117"]
    assert api.get("/v1/products?search=nothing like it").json() == {"total": 0, "products": []}
    assert api.get("/v1/products/103").json()["price"] == 4.0
    assert api.get("/v1/products/3").status_code == 404
    rows = [{"category": "a", "products": 15}, {"category": "b", "products": 15}]
    assert api.get("/v1/categories").json() == {"categories": rows, "model_version": "a"}


@pytest.mark.parametrize(
    ("parent", "found"),
    [
        (None, {"phone": 4, "home": 2, "home-old": 1}),
        ("home", {"home.lamp": 1}),
        ("phone", {"phone.smart": 2, "phone.case": 1}),
        ("phone.smart", {"phone.smart.large": 1}),
        ("phone.smart.large", {}),
        ("pho", {}),
        ("unknown", {}),
    ],
)
def test_categories_right_below_a_category(parent: str | None, found: dict[str, int]) -> None:
    """Products that stand in the category itself are in none below it; what can't be had is in none."""
    codes = ["home", "home.lamp", "home-old", "phone", "phone.case", "phone.smart", "phone.smart.large"]
    codes += ["phone.case", "phone.sold", "unknown"]
    n = len(codes)
    catalogue = Catalogue.of(
        pa.table(
            {
                "product_id": PRODUCTS[:n],
                "category_code": codes,
                "category": [code.partition(".")[0] for code in codes],
                "brand": ["acme"] * n,
                "avg_price": [1.0] * n,
                "popularity": [1.0] * n,
                "available": [*[True] * 7, False, False, True],
            }
        )
    )
    shop = Shop(SimpleNamespace(recommender=replace(recommender(), catalogue=catalogue)))
    rows = shop.categories(parent)
    assert {row.category: row.products for row in rows} == found
    assert [row.products for row in rows] == sorted(found.values(), reverse=True)


def test_a_parent_is_asked_for_in_the_query(api: Api) -> None:
    below = [{"category": "b.y", "products": 15}]
    assert api.get("/v1/categories?parent=b").json() == {"categories": below, "model_version": "a"}


def test_an_api_without_a_catalogue_of_events_still_lists(make_api: MakeApi, output: Path) -> None:
    (output / "layout.yaml").write_text(
        "columns: {event_time: t, product_id: p, user_id: u, event_id: [t, p]}\nevent_type: purchase\n"
    )
    api = make_api(layout=output / "layout.yaml")
    assert "events cannot be posted under this --layout" in api.said[0]
    assert ids(api.get("/v1/popular?count=1")) == [100]
    answer = api.post("/v1/events", event(1))
    assert answer.status_code == 501
    assert "several columns" in answer.json()["detail"]
