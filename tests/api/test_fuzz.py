"""Requests that schemathesis invents from the OpenAPI: no 5xx, no status or shape that isn't described."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi.checks import status_code_conformance

from app.core.settings import Settings
from tests.api.client import Api
from tests.stream.shop import recommender, write_bundle

OPERATIONS = [
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations/batch"),
    ("GET", "/v1/users/{user_id}/recommendations"),
    ("GET", "/v1/products/{product_id}/similar"),
    ("GET", "/v1/popular"),
    ("POST", "/v1/events"),
    ("GET", "/v1/products"),
    ("GET", "/v1/products/{product_id}"),
    ("GET", "/v1/categories"),
]
