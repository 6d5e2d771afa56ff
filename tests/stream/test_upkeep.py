"""What a running stream does to its archive: put together, killed amid it, kept for so long, and missed where lost."""

import shutil
import socket
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.events.archive_names import BatchRange
from app.monitor.influx import write_lines
from app.stream.archive import Archive
from app.stream.epoch import marked
from tests.influxd import InfluxServer
from tests.stream.process import StreamProcess
from tests.stream.shop import csv_text, folder_rows, land, recommender, until, write_bundle
from tests.stream.test_faults import crowd, everything_once

pytestmark = pytest.mark.timeout(1_200)

STEP = 8
FOLDERS = STEP + 2
#: As `vitrine stream`, but that eight folders are put together where 64 are: the small ones take a second each.
BY_EIGHT = f"""
from app.cli import main
from app.stream import compaction

compaction.LEVELS = ({STEP}, {STEP**2}, {STEP**3})
main()
"""
PATIENCE = 240.0


def ranges(stream: StreamProcess) -> list[BatchRange]:
    return Archive.of(stream.folders).folders(marked(stream.folders))


@pytest.mark.slow(seconds=45)
def test_folders_are_put_together_and_grow_old_in_a_running_stream(tmp_path: Path) -> None:
    """Counts of what the archive no longer has stay what they were, and a late event comes to them."""
    output = tmp_path / "out"
    write_bundle(output / "models", "a", recommender())
    events = crowd(FOLDERS * 10, 3)
    # It puts nothing together yet, however slow the machine is.
    stream = StreamProcess(output, program=BY_EIGHT, clean_landing="true")
    stream.start()
    stream.until_ready()
    for number in range(FOLDERS):
        land(stream.folders.landing, f"{number:03d}.csv", csv_text(events[number * 10 : number * 10 + 10]))
        until(lambda number=number: stream.commits() > number, "a micro-batch", PATIENCE)
    stream.kill()
    stream = StreamProcess(output, program=BY_EIGHT, archive_single_minutes=0, clean_landing="true")
    stream.start()
    until(lambda: ranges(stream)[0].last == STEP - 1, "folders are put together", PATIENCE)
    stream.kill()  # with all that they were put together from still there
    everything_once(stream, events)
    archive, first = Archive.of(stream.folders), ranges(stream)[0]
    assert (archive.folder / BatchRange(0, 0, 1).name).exists()
    age = time.time() - archive.manifest(first).written - 1
    given = {"archive_single_minutes": 0, "archive_days": age / 86_400, "clean_landing": "true"}
    later = StreamProcess(output, program=BY_EIGHT, **given)
    later.start()
    until(lambda: ranges(later)[:1] != [first], "the archive is kept for so long", PATIENCE)
    assert not (archive.folder / BatchRange(0, 0, 1).name).exists()

    def counted() -> int:  # from the windows alone: more of the archive grows old meanwhile
        return sum(row["events"] for row in later.windows())

    assert counted() == len(events)
    land(later.folders.landing, "late.csv", csv_text([(0, "view", 100, 77_777, "late")]))
    until(lambda: counted() == len(events) + 1, "the late event is counted", PATIENCE)
    assert later.stop() == 0
    assert counted() == len(events) + 1
    assert len(folder_rows(later.folders.archive)) < len(events)
    assert "must" not in stream.said() + later.said()


@pytest.mark.slow(seconds=55)
def test_a_folder_that_is_lost_is_told_everywhere(tmp_path: Path, server: InfluxServer) -> None:
    """In the log, as a metric and as a point, while nothing comes; also by the next stream, until it is put back."""
    output = tmp_path / "out"
    write_bundle(output / "models", "a", recommender())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    old = int((datetime.now(UTC) - timedelta(days=3)).timestamp()) * 1_000_000_000
    write_lines(server.config, [f"lists,generator=a x=1i {old}", f"events,event_type=view x=1i {old}"])
    stream = StreamProcess(output, server, metrics_port=port, influx_days=1)

    def metric() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return next(line for line in text.splitlines() if line.startswith("vitrine_stream_unaccounted_rows"))

    def point() -> int | None:
        rows = server.query(
            f'from(bucket: "{server.config.bucket}") |> range(start: -1h) '
            '|> filter(fn: (r) => r._field == "unaccounted_rows") |> last()'
        )
        return int(rows[0]["_value"]) if rows else None

    stream.start()
    stream.until_ready()
    land(stream.folders.landing, "1.csv", csv_text(crowd(30, 5)))
    stream.until_done(PATIENCE)
    until(lambda: point() == 0, "an audit that misses nothing", PATIENCE)
    assert metric().endswith(" 0.0")
    (part,) = ranges(stream)
    folder = stream.folders.archive / part.name
    shutil.copytree(folder, tmp_path / "snapshot")
    shutil.rmtree(folder)
    line = "accounts: micro-batch 0: 30 rows must be there, 0 are"
    until(lambda: line in stream.said(), "the loss is in the log", PATIENCE)
    until(lambda: metric().endswith(" 30.0"), "the loss is a metric", PATIENCE)
    until(lambda: point() == 30, "the loss is a point", PATIENCE)
    assert (server.count("lists", "x"), server.count("events", "x")) == (0, 1)  # old points are deleted meanwhile
    assert stream.stop() == 0
    stream.start()
    until(lambda: line in stream.said(), "the next stream tells of it as well", PATIENCE)
    shutil.copytree(tmp_path / "snapshot", folder)
    until(lambda: metric().endswith(" 0.0"), "it is there again", PATIENCE)
    until(lambda: point() == 0, "it is there again", PATIENCE)
    assert stream.said().count(line) == 1
    assert stream.stop() == 0
