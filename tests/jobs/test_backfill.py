"""InfluxDB filled again from files, on a real server: twice the same, and refused where there is nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from app.core.errors import InputError
from app.core.folders import Output
from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange
from app.jobs.backfill import backfill
from app.results.files import write_run
from app.stream.archive import write_points
from app.stream.epoch import begin
from app.stream.folders import StreamFolders
from app.stream.window_files import WINDOW_SCHEMA, replace_windows
from tests.finished_run import finished_run
from tests.influxd import InfluxServer

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def server(influxd_program: str, tmp_path: Path) -> InfluxServer:
    folder = tmp_path / "influxd"
    folder.mkdir()
    return InfluxServer(folder, influxd_program)


def files(output: Path) -> None:
    """A training, a window, and a micro-batch, of which there is also a late folder of a stream that was replaced."""
    write_run(Output(output), finished_run(), keep=5)
    (output / "runs" / "20180101_000000.json").write_text('{"schema_version": 0}')  # of another edition
    folders = StreamFolders.of(Settings(output=output))
    folders.prepare()
    begin(folders, 1)
    begin(folders, 2)
    rows = {"start": [NOON], "event_type": ["cart"], "main_category": ["a"], "events": [7], "revenue": [0.0]}
    replace_windows(pa.table(rows, WINDOW_SCHEMA), [int(NOON.timestamp()) * 1_000_000], folders.windows, 2)
    for epoch, lists in ((1, 99), (2, 3)):
        folder = folders.archive / BatchRange(0, 0, epoch).name
        folder.mkdir()
        pq.write_table(pa.table({"event_time": [NOON]}), folder / "part-00000.parquet")
        write_manifest(folder, Manifest(rows=1, windows=[], written=0))
        write_points(folder, [f"lists,generator=als,model_version=v,segment=s lists={lists}i {1_600_000_000 * 10**9}"])


def test_what_files_know_is_written_again(server: InfluxServer, tmp_path: Path) -> None:
    output, said = tmp_path / "out", list[str]()
    output.mkdir()
    files(output)
    config = server.config
    settings = Settings(output=output, influx_url=config.url, influx_token=SecretStr(config.token))
    try:
        for _ in range(2):
            assert (
                backfill(settings, said.append) == 1 + 2 + 3 + 1 + 1 + 1
            )  # a model, segments, moves, behaviour, a window, lists
            assert server.count("model", "users") == 1
            assert server.count("segments", "users") == 2
            assert server.count("moves", "users") == 3
            assert server.count("behaviour", "to_cart") == 1
            assert server.count("events", "events") == 1
            (row,) = server.query(
                f'from(bucket: "{config.bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "lists")'
            )
            assert row["_value"] == "3"
    finally:
        server.stop()
    assert any("schema version 0" in line for line in said)


def test_it_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--influx-url"):
        backfill(Settings(output=tmp_path), print)
