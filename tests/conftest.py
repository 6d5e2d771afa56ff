"""What all tests share: one Spark session, where the optional real data lies, which tests need other programs."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, connect
from app.core.settings import Settings
from app.core.spark import create_session
from tests import longest_first
from tests.small_spark import SMALL_SPARK

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

os.environ |= SMALL_SPARK  # for the session below, and for the processes that tests start


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """`-m programs` selects tests of InfluxDB, manifests and pages too; of what is selected the longest come first."""
    for item in items:
        if {"influxd_program", "manifests", "chromium"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("programs")
    yield
    longest_first.sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """The way that xdist's workers get their tests."""
    return longest_first.LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One session for the whole run: two cores, two shuffle partitions."""
    session = create_session(Settings(master="local[2]", shuffle_partitions=2, driver_memory="2g"), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A database for the tests of a module."""
    with connect(tmp_path_factory.mktemp("spill")) as connection:
        yield connection


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that the test starts run with Spark as it is configured in production."""
    for name in SMALL_SPARK:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def influxd_program() -> str:
    """The server program; tests that need it are skipped where there is none."""
    program = shutil.which("influxd")
    if program is None:
        pytest.skip("no influxd on PATH: install InfluxDB 2.7 to run these tests")
    return program


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser; tests that need it are skipped where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on PATH; on Debian type: apt-get install chromium")
    return program


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA
