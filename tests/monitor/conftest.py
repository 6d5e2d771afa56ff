"""One InfluxDB for all tests of this folder that write to it."""

from collections.abc import Iterator

import pytest

from tests.influxd import InfluxServer


@pytest.fixture(scope="session")
def influx(influxd_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd"), influxd_program)
    yield server
    server.stop()
