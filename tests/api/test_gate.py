"""Keys, rates, sizes, slow and malformed requests: each its own 4xx in one shape, and nothing written."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from app.api.gate import Rates
from app.api.posted.intake import log_folder
from tests.api.client import Answer, Api, event, ids, landed
from tests.api.conftest import MakeApi

READ, WRITE = "reading-key-of-16+", "writing-key-of-16+"
JSON = {"content-type": "application/json"}
ASKED_MOST = "/v1/recommendations"  #: answered without the framework, where it can be


def is_problem(answer: Answer, status: int) -> str:
    """See that an answer is a problem of this status; its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    return str(problem["detail"])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_key_opens_its_own_routes(make_api: MakeApi) -> None:
    api = make_api(read_key=READ, write_key=WRITE)
    assert api.get("/v1/popular", headers=bearer(READ)).is_success
    assert api.get("/v1/popular", headers={"X-API-Key": READ}).is_success
    assert api.post("/v1/events", event(1), headers=bearer(WRITE)).is_success
    for headers in ({}, bearer("wrong"), bearer(""), {"Authorization": READ}, {"X-API-Key": "ключ".encode()}):
        answer = api.get("/v1/popular", headers=headers)
        assert "send the key for reading" in is_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        is_problem(api.post("/v1/events", event(2), headers=headers), 401)
    is_problem(api.get("/v1/popular", headers=bearer(WRITE)), 403)
    is_problem(api.post("/v1/events", event(2), headers=bearer(READ)), 403)
    is_problem(api.post("/v1/events/", event(2), headers=bearer(READ)), 403)
    for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json", "/"):
        assert api.get(path).is_success, path
    assert [row["event_id"] for row in landed(api.settings.output / "landing")] == ["e-1"]


def test_a_client_that_asks_too_often_is_told_how_long_to_wait(make_api: MakeApi) -> None:
    api = make_api(request_rate=2)
    answers = [api.get("/v1/popular") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 1 <= len(refused) <= 4, "four at once, then two a second"
    is_problem(refused[0], 429)
    assert refused[0].headers["Retry-After"] == "1"
    assert api.get("/health/live").is_success


def test_a_bucket_fills_with_time_up_to_a_burst() -> None:
    rates = Rates(10)
    assert [rates.take("a", 0.0) > 0 for _ in range(21)] == [False] * 20 + [True]
    assert rates.take("b", 0.0) == 0
    assert rates.take("a", 0.05) == pytest.approx(0.05)
    assert rates.take("a", 0.1) == 0
    assert [rates.take("a", 1000.0) > 0 for _ in range(21)] == [False] * 20 + [True]


def test_a_body_that_is_too_large_is_refused(make_api: MakeApi, output: Path) -> None:
    api = make_api(request_bytes=1_000)
    large = event(1) | {"brand": "x" * 2_000}
    assert "larger than 1,000 bytes" in is_problem(api.post("/v1/events", large), 413)

    async def unsaid() -> Any:  # a body of which the head doesn't say how long it is
        for _ in range(100):
            yield b" " * 100

    is_problem(api.ask("POST", "/v1/events", content=unsaid(), headers=JSON), 413)
    assert not landed(output / "landing")


@pytest.mark.parametrize("path", ["/v1/events", ASKED_MOST])
def test_a_body_that_comes_too_slowly_is_refused(path: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.gate.BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("shop", 80),
    }
    asyncio.run(asyncio.wait_for(api.app(scope, receive, send), 5))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["status"] == 408
    assert api.metric("vitrine_api_requests_total", route=path, method="POST", status="408") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1", 404),
        ("GET", "/v2/popular", 404),
        ("GET", "/v1/../../etc/passwd", 404),
        ("GET", "/page/../http.py", 404),
        ("GET", "/page/..%2fhttp.py", 404),
        ("GET", "/page/%2e%2e/http.py", 404),
        ("GET", "/page//etc/passwd", 404),
        ("GET", "/v1/products/none", 404),
        ("DELETE", "/v1/popular", 405),
        ("GET", "/v1/events", 405),
        ("GET", ASKED_MOST, 405),
        ("OPTIONS", ASKED_MOST, 405),
        ("GET", "/v1/popular?count=0", 422),
        ("GET", "/v1/popular?count=101", 422),
        ("GET", "/v1/popular?count=ten", 422),
        ("GET", "/v1/popular?price_min=-1", 422),
        ("GET", "/v1/popular?price_max=nan", 422),
        ("GET", "/v1/popular?category=", 422),
        ("GET", "/v1/popular?colour=red", 422),
        ("GET", "/v1/popular?price_min=10&price_max=9", 422),
        ("GET", "/v1/products?price_min=10", 422),
        ("GET", "/v1/products/100?colour=red", 422),
        ("GET", "/v1/categories?category=a", 422),
        ("GET", "/v1/categories?parent=", 422),
        ("GET", "/v1/users/1?count=2", 422),
        ("DELETE", "/v1/users/1?count=2", 422),
        ("GET", "/v1/users/" + "x" * 257 + "/recommendations", 422),
        ("GET", "/v1/products?offset=-1", 422),
        ("GET", "/v1/products?offset=99999999999999999999", 422),
        ("POST", ASKED_MOST, 415),
    ],
)
def test_a_wrong_request_gets_its_own_status(method: str, path: str, status: int, api: Api) -> None:
    is_problem(api.ask(method, path), status)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"event_type": "view", "product_id": 1, "user_id": 1, "prise": 2}, "body/prise: is no key that is known here"),
        ({"events": []}, "body/events: must hold 1 or more"),
        ([], "body: must be an object"),
    ],
)
def test_what_is_wrong_with_events_is_said_in_words_of_the_api(body: Any, detail: str, api: Api) -> None:
    assert is_problem(api.post("/v1/events", body), 422).startswith(detail)


def malformed(rng: random.Random) -> bytes:
    """A body that is nearly one of events, with something cut, changed or doubled."""
    body = bytearray(json.dumps({"events": [event(1, recommendation_id="r", price=2.5)]}).encode())
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(body) or 1)
        how = rng.randrange(4)
        if how == 0:
            del body[place : place + rng.randint(1, 9)]
        elif how == 1:
            body[place : place + 1] = bytes([rng.randrange(256)])
        elif how == 2:
            body[place:place] = rng.choice([b"{", b"[", b'"', b"\\", b"\xff", b"1e999", b"null,", b"\\ud800"])
        else:
            body = body[:place]
    return bytes(body)


def test_a_thousand_malformed_bodies_are_refused_and_nothing_is_written(api: Api, output: Path) -> None:
    rng, statuses, taken = random.Random(5), set[int](), 0
    for _ in range(1_000):
        answer = api.ask("POST", "/v1/events", content=malformed(rng), headers=JSON)
        if answer.is_success:  # what was changed was within a text
            taken += answer.json()["accepted"]
            continue
        is_problem(answer, answer.status_code)
        statuses.add(answer.status_code)
    assert statuses == {400, 422}
    assert len(landed(output / "landing")) == taken < 100


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/popular"), ("POST", ASKED_MOST)])
def test_what_fails_within_is_a_problem_without_its_trace(
    method: str, path: str, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.api.service.recommendations", lambda *_: 1 / 0)
    detail = is_problem(api.ask(method, path, json={} if method == "POST" else None), 500)
    assert "division" not in detail
    assert "unexpected ZeroDivisionError" in [record.getMessage() for record in caplog.records]
    assert api.metric("vitrine_api_requests_total", route=path, method=method, status="500") == 1


def test_the_head_of_an_ask_is_no_method_of_it(api: Api) -> None:
    answer = api.ask("HEAD", ASKED_MOST)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert api.metric("vitrine_api_requests_total", route=ASKED_MOST, method="HEAD", status="405") == 1


def test_an_ask_may_come_in_pieces(api: Api) -> None:
    async def pieces() -> Any:
        for piece in (b'{"user', b'_id": "101", ', b'"count": 3}'):
            yield piece

    answer = api.ask("POST", ASKED_MOST, content=pieces(), headers=JSON)
    assert ids(answer) == ids(api.post(ASKED_MOST, {"user_id": "101", "count": 3}))
    assert api.metric("vitrine_api_requests_total", route=ASKED_MOST, method="POST", status="200") == 2
    assert api.metric("vitrine_api_request_seconds_count", route=ASKED_MOST) == 2


@pytest.mark.parametrize("body", [{}, {"user": 1}])
def test_answers_close_their_connections_while_it_stops(body: dict[str, Any], api: Api) -> None:
    assert "connection" not in api.post(ASKED_MOST, body).headers
    api.service.ready = False
    headers = api.post(ASKED_MOST, body).headers
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"


def test_what_is_refused_at_the_gate_is_counted_by_the_route_that_it_was_meant_for(make_api: MakeApi) -> None:
    api = make_api(read_key=READ, write_key=WRITE, request_bytes=1_000)
    write = bearer(WRITE)
    asked: list[tuple[str, str, dict[str, Any], str, int]] = [
        ("GET", "/v1/users/7/recommendations", {}, "/v1/users/{user_id}/recommendations", 401),
        ("GET", "/v1/users/merge", {}, "/v1/users/{user_id}", 401),
        ("POST", "/v1/users/merge", {"headers": bearer(READ)}, "/v1/users/merge", 403),
        ("POST", "/v1/events", {"headers": write | JSON, "content": b" " * 2_000}, "/v1/events", 413),
        ("POST", "/v1/events", {"headers": write, "content": b"{}"}, "/v1/events", 415),
        ("POST", "/v1/popular", {"headers": bearer(READ)}, "/v1/popular", 415),
        ("DELETE", "/v1/popular", {"headers": bearer(READ)}, "/v1/popular", 405),
        ("DELETE", "/v1/products/100/similar", {}, "/v1/products/{product_id}/similar", 401),
        ("GET", "/v1/nothing", {}, "other", 401),
    ]
    for method, path, options, route, status in asked:
        is_problem(api.ask(method, path, **options), status)
        labels = {"route": route, "method": method, "status": str(status)}
        assert api.metric("vitrine_api_requests_total", **labels) == 1, (method, path)


def test_answers_are_counted_by_route(api: Api) -> None:
    api.get("/v1/users/1/recommendations")
    api.get("/v1/users/2/recommendations")
    api.ask("BREW", "/v1/nothing/3")
    text = api.get("/metrics").text
    assert 'route="/v1/users/{user_id}/recommendations",status="200"} 2.0' in text
    assert 'method="other",route="other",status="404"} 1.0' in text
    assert 'vitrine_bundle_info{version="a"} 1.0' in text
    assert not log_folder(api.settings).joinpath("nothing").exists()


@pytest.mark.parametrize(
    ("query", "body", "status", "detail"),
    [
        ("", b'{"user_id": 1, "colour": "red"}', 422, "body/colour: is no key that is known here"),
        ("", b'{"session": [{"event_type": "look", "product_id": 1}]}', 422, "body/session/0/event_type: "),
        ("", b'{"count": 101}', 422, "body/count: "),
        ("", b"[]", 422, "body: must be an object"),
        ("", b"", 422, "body: "),
        ("", b'{"count": ', 400, "the body is not JSON"),
        ("", b'{"user_id": "\xff"}', 400, "the body cannot be read as JSON in UTF-8"),
        ("?count=2", b"{}", 422, "query/count: is no key that is known here"),
    ],
)
def test_what_is_wrong_with_an_ask_is_said_likewise(
    query: str, body: bytes, status: int, detail: str, api: Api
) -> None:
    answer = api.ask("POST", f"/v1/recommendations{query}", content=body, headers=JSON)
    assert is_problem(answer, status).startswith(detail)
