"""InfluxDB filled again from files, on a real server: twice the same, no older count, refused if there is nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from app.core.errors import InputError, VitrineError
from app.core.folders import Output
from app.core.settings import Settings
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange
from app.jobs.backfill import backfill, write_windows
from app.results.files import write_run
from app.stream.archive import read_points, write_points
from app.stream.epoch import begin, marked
from app.stream.folders import StreamFolders
from app.stream.window_files import WINDOW_SCHEMA, replace_windows, window_days
from tests.finished_run import finished_run
from tests.influxd import InfluxServer

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def server(influxd_program: str, tmp_path: Path) -> InfluxServer:
    folder = tmp_path / "influxd"
    folder.mkdir()
    return InfluxServer(folder, influxd_program)


def count(folders: StreamFolders, start: datetime, events: int) -> None:
    """A window's count, as the stream of epoch 2 puts it into its file."""
    rows = {"start": [start], "event_type": ["cart"], "main_category": ["a"], "events": [events], "revenue": [0.0]}
    replace_windows(pa.table(rows, WINDOW_SCHEMA), [int(start.timestamp()) * 1_000_000], folders.windows, 2)


@pytest.fixture
def folders(tmp_path: Path) -> StreamFolders:
    """Of a stream that has begun twice."""
    made = StreamFolders.of(Settings(output=tmp_path))
    made.prepare()
    for epoch in (1, 2):
        begin(made, epoch)
    return made


def files(output: Path) -> None:
    """A training, a window, and a micro-batch, of which there is also a late folder of a stream that was replaced."""
    write_run(Output(output), finished_run(), keep=5)
    (output / "runs" / "20180101_000000.json").write_text('{"schema_version": 0}')  # of another edition
    folders = StreamFolders.of(Settings(output=output))
    folders.prepare()
    begin(folders, 1)
    begin(folders, 2)
    count(folders, NOON, 7)
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
            # a model, segments, moves, behaviour, a profile, names of RFM, a week twice, values; a window, lists
            assert backfill(settings, said.append) == (1 + 2 + 3 + 1 + 1 + 10 + 2 * 4 + 2) + 1 + 1
            assert server.count("model", "users") == 1
            assert server.count("segments", "users") == 2
            assert server.count("moves", "users") == 3
            assert server.count("behaviour", "to_cart") == 1
            assert server.count("profiles", "share") == 1
            assert server.count("rfm", "customers") == 10
            assert server.count("lifecycle", "users") == 8
            assert server.count("value", "p_alive") == 2
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


def test_a_count_is_not_put_back_behind_that_of_a_stream_beside(folders: StreamFolders) -> None:
    """The stream counts once more, in its file and then in InfluxDB, while the older count is on its way there."""
    for day in range(2):
        count(folders, NOON + timedelta(days=day), 7)
    there, writes = dict[str, str](), list[int]()

    def write(lines: Iterable[str]) -> int:
        waiting = [*lines]
        if not writes:
            count(folders, NOON, 8)
        for line in waiting:
            key, fields, time = line.split(" ")
            there[f"{key} {time}"] = fields.split(",")[0]
        writes.append(len(waiting))
        return len(waiting)

    assert write_windows(folders, write, print) == 2
    assert sorted(there.values()) == ["events=7i", "events=8i"]
    assert writes == [1, 1, 1]  # a day at a time, the first of them twice


def test_a_damaged_day_is_told_and_the_others_are_written(folders: StreamFolders) -> None:
    for day in range(2):
        count(folders, NOON + timedelta(days=day), 7)
    damaged = window_days(folders.windows, marked(folders).latest)["2019-10-01"]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    said = list[str]()
    assert write_windows(folders, lambda lines: len([*lines]), said.append) == 1
    assert [line.partition(":")[0] for line in said] == [str(damaged)]


def test_a_day_that_is_lost_meanwhile_is_told(folders: StreamFolders) -> None:
    count(folders, NOON, 7)
    said = list[str]()

    def write(lines: Iterable[str]) -> int:
        window_days(folders.windows, 2)["2019-10-01"].unlink()
        return len([*lines])

    assert write_windows(folders, write, said.append) == 1
    assert said == [f"{folders.windows}: the file of 2019-10-01 is gone; its counts are left out"]


def test_points_of_a_folder_are_read_as_they_are_needed(tmp_path: Path) -> None:
    """The first ones are there though the file is damaged at its end."""
    write_points(tmp_path, (f"lists x={number}i {number * 7_919}" for number in range(20_000)))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    lines = read_points(tmp_path)
    assert next(lines) == "lists x=0i 0"
    with pytest.raises(VitrineError, match="is damaged"):
        for _ in lines:
            pass
