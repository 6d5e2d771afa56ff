"""The reference: all that the OpenAPI says, on a page that needs no network and no script."""

import re
from html.parser import HTMLParser

from app.api.reference import reference
from tests.api.client import Api


class Page(HTMLParser):
    """Ids, links and sources of a page; elements must be closed in order."""

    EMPTY = ("meta", "link")

    def __init__(self, text: str):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.names.add(tag)
        self.ids += filter(None, [found.get("id")])
        self.links += filter(None, [found.get("href"), found.get("src")])
        assert not any(name.startswith("on") for name in found)
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_a_reference_of_everything_without_network_and_scripts(api: Api) -> None:
    answer = api.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    page, openapi = Page(answer.text), api.get("/openapi.json").json()
    assert not page.names & {"script", "iframe", "img", "style"}
    for link in page.links:
        assert link == "data:," or not re.match(r"[a-z]+:|//", link), link
        assert not link.startswith("#") or link[1:] in page.ids
        if not link.startswith(("#", "data:")):
            assert api.get(f"/{link.removeprefix('./')}").status_code == 200, link
    assert len(page.ids) == len(set(page.ids))
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert f"<h2><code>{method.upper()} {path}</code></h2>" in answer.text
            assert operation["operationId"] in page.ids
    assert set(openapi["components"]["schemas"]) <= set(page.ids)
    for word in ("order-9-1", "Retry-After", "at most 100"):
        assert word in answer.text


def test_what_stands_in_the_description_is_text() -> None:
    openapi = {
        "info": {"title": "<b>", "version": "1", "description": "a `<i>` &\n\nb"},
        "paths": {},
        "components": {"schemas": {"A": {"anyOf": [{"type": "array", "items": {"$ref": "#/x/A"}}, {"const": "<u>"}]}}},
    }
    page = reference(openapi)
    assert "<h1>&lt;b&gt; 1</h1>" in page
    assert "<p>a <code>&lt;i&gt;</code> &amp;</p><p>b</p>" in page
    assert 'list of <a href="#A">A</a> or <code>&lt;u&gt;</code>' in page
