"""What the tests of the stream share: a server where there is one, and a running stream."""

from collections.abc import Iterator
from errno import EINVAL
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from app.stream.archive import Archive
from tests.influxd import InfluxServer
from tests.stream.process import StreamProcess
from tests.stream.shop import Running, quick_settings, recommender, running, write_bundle


@pytest.fixture
def server(influxd_program: str, tmp_path: Path) -> Iterator[InfluxServer]:
    """A server of one test's own."""
    folder = tmp_path / "influxd"
    folder.mkdir()
    server = InfluxServer(folder, influxd_program)
    yield server
    server.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Empty."""
    made = Archive(tmp_path / "archive", tmp_path / "rejected")
    made.folder.mkdir()
    made.rejected.mkdir()
    return made


@pytest.fixture
def refused() -> Path:
    """A file that opens, has a length, and that the system does not give: as one on a mount that is away."""
    path = Path("/sys/class/net/lo/speed")
    try:
        path.read_bytes()
    except OSError as error:
        if error.errno == EINVAL:
            return path
    pytest.skip(f"no {path} that refuses to be read, as Linux has it")


@pytest.fixture(autouse=True)
def no_stream_is_left() -> Iterator[None]:
    yield
    StreamProcess.end_all()


@pytest.fixture(scope="module")
def live(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running stream over the hand-made shop, for all tests of a module."""
    output = tmp_path_factory.mktemp("stream")
    write_bundle(output / "models", "a", recommender())
    with running(spark, quick_settings(output)) as run:
        yield run
