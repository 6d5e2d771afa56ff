"""One InfluxDB for all tests of this folder that write to it."""

from collections.abc import Iterator

import pytest

from tests.influxd import InfluxServer, find_influxd


@pytest.fixture(scope="session")
def influxd_program() -> str:
    """The server program; tests that need it are skipped where there is none."""
    program = find_influxd()
    if program is None:
        pytest.skip("no influxd on PATH: install InfluxDB 2.7 to run these tests")
    return program


@pytest.fixture(scope="session")
def influx(influxd_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd"), influxd_program)
    yield server
    server.stop()
