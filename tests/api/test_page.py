"""The shop page: served with what it names, from here alone. What it does in a browser is not tested here."""

import re
from pathlib import Path

from app.api.http import PAGE
from tests.api.client import Api

FILES = sorted(PAGE.iterdir())
OTHERS = ("index.html", "reference.css")  #: the page itself, and what another has
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def text(name: str) -> str:
    return (PAGE / name).read_text()


def scripts() -> str:
    return "\n".join(path.read_text() for path in FILES if path.suffix == ".js")


def test_the_page_and_its_files_are_served(api: Api) -> None:
    page = api.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"
    named = set(re.findall(r'(?:href|src)="(/page/[^"]+)"', page.text))
    imported = {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', scripts())}
    assert named | imported == {f"/page/{path.name}" for path in FILES if path.name not in OTHERS}
    for path in sorted(named | imported):
        answer = api.get(path)
        assert answer.is_success, path
        assert answer.headers["content-type"].startswith(TYPES[Path(path).suffix])


def test_nothing_comes_from_elsewhere_and_no_text_is_read_as_html() -> None:
    for path in FILES:
        content = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|[\"'(]//", content), path.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", content), path.name
    assert not re.search(r"style=|onclick=|<script>", text("index.html")), "the policy would refuse it"


def test_what_scripts_look_for_is_on_the_page() -> None:
    page = text("index.html")
    there = re.findall(r'id="([^"]+)"', page)
    assert len(there) == len(set(there))
    assert set(re.findall(r'\bat\("([^"]+)"\)', scripts())) <= set(there)
    assert set(re.findall(r'(?:for|aria-labelledby)="([^"]+)"', page)) <= set(there)


def test_every_route_that_the_page_asks_is_there(api: Api) -> None:
    described = {path.partition("{")[0].rstrip("/") for path in api.app.openapi()["paths"]}
    asked = {path.rstrip("/") for path in re.findall(r'["`](/v1/[a-z/]+)', scripts())}
    assert asked
    assert asked <= described
