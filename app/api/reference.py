"""The reference of the API as a page: the OpenAPI as HTML, without scripts and without a word from elsewhere."""

import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from app.core.templates import templates

HERE = Path(__file__).parent
TEMPLATE = "reference.html.j2"
CODE = re.compile(r"`([^`]+)`")
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters or fewer",
    "minItems": "{} or more",
    "maxItems": "{} or fewer",
    "format": "{}",
    "default": "{} if not given",
}


def reference(openapi: dict[str, Any]) -> str:
    """The page of an API.

    Parameters
    ----------
    openapi
        Its description, version 3.
    """
    environment = templates(HERE)
    environment.filters |= {"prose": _prose, "limits": _limits, "pretty": _pretty}
    return environment.get_template(TEMPLATE).render(
        info=openapi["info"], paths=openapi["paths"], schemas=openapi["components"]["schemas"]
    )


def _prose(text: str) -> Markup:
    """Paragraphs, with code in backticks."""
    paragraphs = [CODE.sub(r"<code>\1</code>", str(escape(part))) for part in text.split("\n\n")]
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))


def _limits(schema: dict[str, Any]) -> str:
    """What a value must be, beside its type; of several types, what any of them must be."""
    parts = [schema, *schema.get("anyOf", ())]
    told = [text.format(part[name]) for part in parts for name, text in LIMITS.items() if part.get(name) is not None]
    return ", ".join(dict.fromkeys(told))


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
