"""The OpenAPI of the API: what FastAPI makes of the routes, with keys, errors and examples as they are."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.problems import MEDIA_TYPE, Problem

DESCRIPTION = """Recommendations of a shop, live.

Ids are the shop's own: send them as text or numbers, answers have them as text. A user or product that the model
doesn't know is no error: the list is of popular products. Every error has one shape, RFC 9457."""
#: Statuses that any route under /v1 may answer with, beside its own.
STATUSES = {
    "400": "the request can't be read",
    "401": "a key is missing or wrong",
    "403": "the key is for something else",
    "408": "the body came too slowly",
    "413": "the body is too large",
    "415": "the body does not say that it is JSON",
    "422": "a value is not valid; no event was taken",
    "431": "address and headers are too large",
    "429": "too many requests; Retry-After says how long to wait",
    "500": "a bug, or a failing machine",
    "503": "try again: Retry-After says when",
}
SESSION = [{"event_type": "view", "product_id": 1004856}, {"event_type": "cart", "product_id": "1004767"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "/v1/recommendations": {
        "user": {"summary": "a user", "value": {"user_id": 512, "count": 5}},
        "session": {"summary": "a session, whoever it is", "value": {"session": SESSION, "count": 5}},
        "filtered": {
            "summary": "a user and a session, filtered",
            "value": {
                "user_id": "512",
                "session": SESSION,
                "filters": {"category": "electronics", "price_max": 500, "exclude": [1005115]},
            },
        },
    },
    "/v1/recommendations/batch": {
        "two": {"summary": "two lists", "value": {"requests": [{"user_id": 512}, {"session": SESSION}]}}
    },
    "/v1/events": {
        "one": {
            "summary": "one event",
            "value": {
                "event_id": "9b2f4c1e-7c1d-4a53-8a9e-3f6d1c0b7a11",
                "event_type": "view",
                "product_id": 1004856,
                "user_id": 512,
                "user_session": "s-77",
                "recommendation_id": "5f1c0ab2c3d4e5f60718293a",
            },
        },
        "many": {
            "summary": "a purchase of two products",
            "value": {
                "events": [
                    {
                        "event_id": f"order-9-{line}",
                        "event_type": "purchase",
                        "product_id": product,
                        "user_id": 512,
                        "event_time": "2026-01-31T12:00:00Z",
                        "price": price,
                        "quantity": 1,
                    }
                    for line, product, price in ((1, 1004856, 129.9), (2, 1004767, 249.0))
                ]
            },
        },
    },
    "/v1/users/merge": {
        "sign-in": {
            "summary": "a visitor signs in: what was done before is the customer's",
            "value": {"from_user_id": 900512, "into_user_id": "512"},
        }
    },
}


def add_openapi(app: FastAPI) -> None:
    """Have the application describe itself."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            _complete(path, operation)
    return schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if not path.startswith("/v1"):
        return
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    own = {"404": "no such product, no user who was forgotten, or no id at all"} if "{" in path else {}
    own |= {"409": "it goes against an earlier merge or forgetting"} if path == "/v1/users/merge" else {}
    own |= {"501": "the shop's layout can't hold posted events"} if path == "/v1/events" else {}
    for status, words in sorted((STATUSES | own).items()):
        responses[status] = {"description": words, "content": content}
    operation["security"] = [{"key": []}]
    if path in EXAMPLES:
        operation["requestBody"]["content"]["application/json"]["examples"] = EXAMPLES[path]
