"""The examples of docs/api.md work as they stand, and so do those of the OpenAPI."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.api.openapi import EXAMPLES
from tests.api.client import ROOT, Api, Server
from tests.api.conftest import MakeApi

PAGE = (ROOT / "docs" / "api.md").read_text()
FENCE = re.compile(r"^( *)```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
KEYS = {"READ_KEY": "reading-key-of-16+", "WRITE_KEY": "writing-key-of-16+"}


def curls() -> list[str]:
    """Every curl command of the page."""
    blocks = [block for _, block in FENCE.findall(PAGE)]
    return [f"curl{part}" for block in blocks for part in re.split(r"^ *curl", block, flags=re.MULTILINE)[1:]]


def test_every_curl_of_the_page_works(output: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on PATH")
    server = Server(output, **{f"VITRINE_{name}": key for name, key in KEYS.items()})
    try:
        assert len(curls()) >= 9
        for command in curls():
            here = command.replace("http://localhost:8000", server.url).replace("curl -s", "curl -s --fail-with-body")
            done = subprocess.run(["bash", "-c", here], env={"PATH": "/usr/bin:/bin", **KEYS}, capture_output=True)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("path", "body"), [(path, one["value"]) for path, examples in EXAMPLES.items() for one in examples.values()]
)
def test_every_example_of_the_openapi_works(api: Api, path: str, body: Any) -> None:
    assert api.post(path, body).status_code == 200


def test_every_route_is_on_the_page(make_api: MakeApi) -> None:
    described = make_api().app.openapi()["paths"]
    for path, methods in described.items():
        for method in methods:
            named = f"{method.upper()} {path}" if path.startswith("/v1") else path
            assert f"`{named}`" in PAGE, named
