"""Real faults: kill -9, a stopped InfluxDB, a full and a read-only disk. Nothing lost, nothing doubled."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.influxd import InfluxServer
from tests.stream.process import StreamProcess, window_points
from tests.stream.shop import ANNA, Event, csv_text, land, recommender, until, write_bundle

pytestmark = pytest.mark.timeout(1_200)

KILLS, WAYS = 10, ("all", "driver", "python")
EVENTS, BEFORE_BAD = 4_000, 200  # there are at the most, and before the rows that are none
FILE_EVENTS, AHEAD = 40, 6  # a file a second, and never more of them waiting: there is work whenever it is killed
TRIES = 5  # the waits between them double
BAD_ROWS = ["2019-10-01 12:00:40 UTC,view,105", "2019-13-01 12:00:40 UTC,view,105,7,a.x,acme,2.50,1,s"]


def crowd(events: int, seed: int) -> list[Event]:
    """Sessions of a few hundred users over some hours, in order of time, no event twice."""
    dice = random.Random(seed)
    rows: list[Event] = []
    for number in range(events):
        user = ANNA if dice.random() < 0.02 else dice.randint(1_000, 1_300)
        kind = dice.choices(["view", "cart", "purchase", "remove_from_cart"], [90, 6, 3, 1])[0]
        second = number * 3 // 2
        rows.append((second, kind, dice.randint(100, 129), user, f"{user}-{second // 3_600}"))
    return rows


def feed(stream: StreamProcess, rows: list[Event | str], enough: threading.Event, fed: list[Event | str]) -> None:
    """Deliver rows at the pace of the stream, until it is enough; which they were is added to `fed`."""
    stream.folders.landing.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(rows), FILE_EVENTS):
        while number // FILE_EVENTS - len(stream.taken()) > AHEAD and not enough.wait(0.2):
            pass
        file = rows[number : number + FILE_EVENTS]
        land(stream.folders.landing, f"{number:05d}.csv", csv_text(file))
        fed += file
        if enough.wait(1):
            break


def everything_once(stream: StreamProcess, events: list[Event]) -> None:
    """Every event is archived and counted once, every user has a list, and none stands twice in a micro-batch."""
    found = stream.outcome()
    assert sum(found["archive"].values()) == len(events)
    assert set(found["archive"].values()) == {1}
    assert sum(count for count, _ in found["windows"].values()) == len(events)
    assert stream.doubled() == []
    assert len(found["last"]) == len({user for _, _, _, user, _ in events})


@pytest.mark.slow(seconds=90)
def test_ten_kills_lose_and_double_nothing(tmp_path: Path, server: InfluxServer) -> None:
    """Killed at ten random moments of a replay; the end is that of a stream that nothing disturbed."""
    dice, all_events = random.Random(11), crowd(EVENTS, 11)
    output = tmp_path / "out"
    write_bundle(output / "models", "a", recommender())
    stream = StreamProcess(output, server)
    rows = [*all_events[:BEFORE_BAD], *BAD_ROWS, *all_events[BEFORE_BAD:]]
    enough, fed = threading.Event(), list[Event | str]()
    player = threading.Thread(target=feed, args=(stream, rows, enough, fed), daemon=True)
    stream.start()
    player.start()
    in_flight, workers, archived = 0, 0, [0]
    for number in range(KILLS):
        if number % 3:
            stream.until_ready()
            commits = stream.commits()
            until(lambda before=commits: stream.commits() > before or not player.is_alive(), "a micro-batch")
        time.sleep(dice.uniform(0, 3))  # one in three dies while it starts, or amid what it has to do again
        workers += stream.kill(WAYS[number // 3 % 3])
        in_flight += stream.in_flight()
        archived.append(stream.archived())
        stream.start()
    enough.set()
    player.join()
    events = [row for row in fed if not isinstance(row, str)]
    stream.until_done()
    assert stream.stop() == 0
    print(
        f"\n{KILLS} kills, {in_flight} amid a micro-batch, {workers} of Spark's workers with the driver, "
        f"archived then: {archived}; {len(events)} events in all"
    )
    assert in_flight >= 3  # else the kills missed the work
    assert workers >= 2  # and nothing was lost at once with all that worked for it
    assert len(set(archived)) >= 3  # and some work was done between them

    calm = StreamProcess(tmp_path / "calm", landing=output / "landing", files_per_trigger=20)
    write_bundle(tmp_path / "calm" / "models", "a", recommender())
    calm.start()
    calm.until_done()
    assert calm.stop() == 0
    everything_once(stream, events)
    found, expected = stream.outcome(), calm.outcome()
    for part in expected:
        assert found[part] == expected[part], part
    assert window_points(server) == expected["windows"]
    assert server.count("recommendations", "user_id") == len(stream.lists())
    assert stream.rejected() == len(BAD_ROWS)
    assert stream.left_behind() == []


@pytest.mark.slow(seconds=15)
def test_an_influxdb_away(tmp_path: Path, server: InfluxServer) -> None:
    """The stream waits and tries again; when the server is back, everything is there once."""
    events, output = crowd(600, 3), tmp_path / "out"
    write_bundle(output / "models", "a", recommender())
    stream = StreamProcess(output, server)
    stream.start()
    stream.until_ready()
    land(output / "landing", "before.csv", csv_text(events[:200]))
    stream.until_done()
    server.kill()
    land(output / "landing", "during.csv", csv_text(events[200:400]))
    until(lambda: stream.said().count("trying again, nothing is skipped") >= TRIES, "the stream goes on trying")
    assert stream.ended() is None
    land(output / "landing", "after.csv", csv_text(events[400:]))
    server.start()
    stream.until_done()
    until(lambda: window_points(server) == stream.outcome()["windows"], "window counts are in InfluxDB")
    until(lambda: server.count("recommendations", "user_id") == len(stream.lists()), "lists are in InfluxDB")
    assert stream.stop() == 0
    everything_once(stream, events)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(disk)]).returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow(seconds=28)
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_cannot_be_written(fault: str, tmp_path: Path, small_disk: Path) -> None:
    """The stream ends with one line that says so; once there is room it goes on, with nothing lost or doubled."""
    events, output, landing = crowd(900, 5), small_disk / "out", tmp_path / "landing"
    write_bundle(output / "models", "a", recommender())
    stream = StreamProcess(output, landing=landing)
    stream.log = tmp_path / "log"
    stream.start()
    stream.until_ready()
    land(landing, "before.csv", csv_text(events[:300]))
    stream.until_done()
    spoil(small_disk, fault)
    for number in range(300, 600, 100):
        land(landing, f"during-{number}.csv", csv_text(events[number : number + 100]))
        time.sleep(0.5)
    code = stream.until_ended()
    said = stream.said()
    assert code == 2, said[-3000:]
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert ("disk is full" if fault == "full" else "read-only") in error
    assert "Traceback" not in said
    mend(small_disk, fault)
    stream.start()
    land(landing, "after.csv", csv_text(events[600:]))
    stream.until_done()
    assert stream.stop() == 0
    everything_once(stream, events)


def spoil(disk: Path, fault: str) -> None:
    if fault == "full":
        with (disk / "filler").open("wb") as file:
            file.write(b"\0" * shutil.disk_usage(disk).free)
    else:  # refused while a file is open for writing: tried until it is between two
        until(lambda: subprocess.run(["mount", "-o", "remount,ro", str(disk)]).returncode == 0, "read-only")


def mend(disk: Path, fault: str) -> None:
    if fault == "full":
        (disk / "filler").unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
