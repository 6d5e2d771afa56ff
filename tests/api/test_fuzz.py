"""Requests that schemathesis invents from the OpenAPI: no 5xx, no status or shape that isn't described."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.settings import Settings
from tests.api.client import Api
from tests.stream.shop import recommender, write_bundle

EXAMPLES = 8  #: of each route, valid and invalid each; 150 were answered as described, too
OPERATIONS = [
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations/batch"),
    ("GET", "/v1/users/{user_id}/recommendations"),
    ("GET", "/v1/products/{product_id}/similar"),
    ("GET", "/v1/popular"),
    ("POST", "/v1/events"),
    ("POST", "/v1/users/merge"),
    ("DELETE", "/v1/users/{user_id}"),
    ("GET", "/v1/users/{user_id}"),
    ("GET", "/v1/products"),
    ("GET", "/v1/products/{product_id}"),
    ("GET", "/v1/categories"),
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    output: Path = tmp_path_factory.mktemp("shop")
    write_bundle(output / "models", "a", recommender())
    with Api(Settings(output=output, commit_seconds=0, request_rate=1e9)) as api:
        yield schemathesis.openapi.from_asgi("/openapi.json", kept_open(api.app))


def kept_open(app: ASGIApp) -> ASGIApp:
    """The application, though it is told of a start and an end with every request."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})

    return asked


def test_every_route_is_asked(schema: Any) -> None:
    described = {(method.upper(), path) for path in schema for method in schema[path]}
    assert {(method, path) for method, path in described if path.startswith("/v1")} == set(OPERATIONS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_is_invented_is_answered_as_described(schema: Any, method: str, path: str, mode: GenerationMode) -> None:
    operation = schema[path][method]

    @settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(drawn=data())
    def ask(drawn: DataObject) -> None:
        drawn.draw(operation.as_strategy(generation_mode=mode)).call_and_validate(checks=CHECKS)

    ask()
