"""An API in the test's own process, over the shop of `tests.stream.shop`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from tests.api.client import Api
from tests.stream.shop import recommender, write_bundle

MakeApi = Callable[..., Api]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with a published bundle."""
    write_bundle(tmp_path / "models", "a", recommender())
    return tmp_path


@pytest.fixture
def make_api(output: Path) -> Iterator[MakeApi]:
    """Starts APIs over the folder: each is a replica."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Api:
            return stack.enter_context(Api(Settings(**{"output": output, "commit_seconds": 0, **settings})))

        yield make


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api()
