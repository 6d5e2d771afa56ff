"""Why a product is in a list, in words, by hand."""

import pytest

from app.api.models import Touched
from app.api.reasons import Cause, popular, reason


@pytest.mark.parametrize(
    ("source", "product", "touched_in", "text"),
    [
        ("session_walk", "2", "session", "often looked at after acme x 1, seen in this session"),
        ("session_walk", "1", "session", "seen in this session"),
        ("als", "1", "history", "seen in an earlier visit"),
        ("als", "2", None, "liked by those who like acme x 1"),
        ("another", "2", "history", "because of acme x 1, seen in an earlier visit"),
    ],
)
def test_a_product_is_no_reason_for_itself(source: str, product: str, touched_in: Touched | None, text: str) -> None:
    found = reason(source, Cause("1", "acme x 1", touched_in), product == "1")
    assert (found.text, found.product_id) == (text, "1")
    assert found.kind == (touched_in or "product")


@pytest.mark.parametrize(("category", "text"), [("shoes", "popular in shoes"), (None, "popular in the shop")])
def test_what_nothing_touched_speaks_for_is_popular(category: str | None, text: str) -> None:
    assert popular(category).text == text
