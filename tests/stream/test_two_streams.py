"""Two streams on one output, for real: whatever is started, killed, paused and gone on with, each event counts once."""

import json
import re
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from app.stream.epoch import current, marked
from app.stream.replay import Pace, replay
from tests.stream.lists import read_lists
from tests.stream.process import StreamProcess
from tests.stream.shop import csv_text, land, recommender, until, write_bundle
from tests.stream.test_faults import crowd, everything_once

pytestmark = pytest.mark.timeout(1_200)

EXPIRY = 6
#: As `vitrine stream`, but that a lease expires after half as long; the end-to-end test waits as long as production.
SOON = f"""
from app.cli import main
from app.core import lease

lease.BEAT, lease.EXPIRY = 1.0, {EXPIRY}.0
main()
"""


class Shop:
    """An output folder, and streams over it."""

    def __init__(self, folder: Path):
        self.output = folder / "out"
        write_bundle(self.output / "models", "a", recommender())
        self._folder, self._streams = folder, 0

    def stream(self, **settings: object) -> StreamProcess:
        self._streams += 1
        stream = StreamProcess(self.output, **settings)
        stream.log = self._folder / f"stream-{self._streams}.log"
        return stream

    def land(self, name: str, text: str) -> None:
        land(self.output / "landing", name, text)

    def elsewhere(self) -> None:
        """Let the lease's holder seem to run on another node, where nobody here can see that it is gone."""
        path = max((self.output / "stream" / "lease").glob("e*"))
        record = json.loads(path.read_text()) | {"space": "elsewhere", "host": "node-2"}
        path.write_text(json.dumps(record).ljust(600))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def one_writer(stream: StreamProcess) -> None:
    """All lists of a micro-batch are of one stream, which has deleted those of others; each is there once."""
    assert stream.of_others() == []
    rows = read_lists(stream.folders.lists, marked(stream.folders)).to_pylist()
    places = Counter((row["batch"], row["user_id"], row["rank"]) for row in rows)
    assert set(places.values()) == {1}


@pytest.mark.slow(seconds=28)
def test_a_second_stream_is_refused_and_a_third_goes_on(shop: Shop) -> None:
    events = crowd(600, 2)
    first, second, third = shop.stream(), shop.stream(), shop.stream()
    first.start()
    first.until_ready()
    shop.land("1.csv", csv_text(events[:300]))
    second.start()
    assert second.until_ended() == 2
    (said,) = second.said().splitlines()
    assert said.startswith(f"error: stream on {shop.output}: process ")
    assert "is at work there; one at a time" in said
    assert first.ended() is None
    first.until_done()
    first.kill()  # its like would be waited for if it ran elsewhere: here one sees that it is gone
    begun = time.monotonic()
    third.start()
    third.until_ready()
    assert time.monotonic() - begun < 60
    shop.land("2.csv", csv_text(events[300:]))
    third.until_done()
    assert third.stop() == 0
    everything_once(third, events)
    one_writer(third)


@pytest.mark.slow(seconds=56)
def test_paused_streams_that_wake_up_add_nothing(shop: Shop) -> None:
    """Paused amid its work, and replaced by the one that stands by; then it goes on. In the end two at a time: the
    second was paused as well, so that the first has two successors.
    """
    events = crowd(2_400, 4)
    log = shop.output.with_name("log.csv")
    log.write_text(csv_text(events))
    player = threading.Thread(
        target=replay,
        args=(str(log), shop.output / "landing", Pace(rate=60)),
        kwargs={"state": log.with_suffix(".state")},
    )
    running = shop.stream(program=SOON)
    running.start()
    running.until_ready()
    player.start()
    for at_a_time in (1, 2):
        paused = []
        for _ in range(at_a_time):
            until(running.in_flight, "a micro-batch under way")
            running.signal(signal.SIGSTOP)
            paused.append(running)
            running = shop.stream(program=SOON, stand_by="true")
            running.start()
            running.until_ready()
        for stream in paused:
            stream.signal(signal.SIGCONT)
            assert stream.until_ended(60) == 1
            assert "has taken over; this one stops" in stream.said()
            assert "Traceback" not in stream.said()
    player.join()
    running.until_done()
    newest = max(running.folders.lists.glob("batch-*.parquet"))
    shutil.copy(newest, newest.with_name(re.sub(r"-e0*4-", "-e000001-", newest.name)))  # as one that wakes up may write
    assert running.of_others()
    until(lambda: running.of_others() == [], "what was written late is gone", 30)
    epoch = current(running.folders)
    assert epoch is not None
    assert epoch.number == 4
    assert running.stop() == 0
    everything_once(running, events)
    one_writer(running)
    assert "must be there" not in running.said()


@pytest.mark.slow(seconds=38)
def test_one_that_stands_by_takes_over_from_a_node_that_is_gone(shop: Shop) -> None:
    """As in a cluster, where another driver's process can't be seen: soon after its lease has expired."""
    events = crowd(600, 6)
    first, second = shop.stream(program=SOON), shop.stream(program=SOON, stand_by="true")
    first.start()
    first.until_ready()
    shop.land("1.csv", csv_text(events[:300]))
    second.start()
    until(lambda: "waiting for its end" in second.said(), "the second waits")
    for number in (signal.SIGSTOP, signal.SIGCONT):  # it goes on waiting while the first is alive, also if paused
        second.signal(number)
        time.sleep(1.5 * EXPIRY)
    assert second.said().count("waiting for its end") == 1
    assert "waiting for files" not in second.said()
    first.until_done()
    first.kill()
    killed = time.monotonic()
    shop.elsewhere()
    second.until_ready()
    print(f"\ntaken over after {time.monotonic() - killed:.1f} s, of it {EXPIRY} s till the lease expired")
    shop.land("2.csv", csv_text(events[300:]))
    second.until_done()
    assert second.stop() == 0
    everything_once(second, events)
    one_writer(second)


@pytest.mark.slow(seconds=48)
def test_started_at_once_ended_paused_or_killed_while_waiting_and_killed_while_paused(shop: Shop) -> None:
    """Always one is at work, and what it hands on is whole."""
    events = crowd(900, 8)
    both = [shop.stream(stand_by="true") for _ in range(2)]
    for stream in both:
        stream.start()

    def ready() -> list[StreamProcess]:
        assert not any("Traceback" in stream.said() for stream in both)
        return [stream for stream in both if "waiting for files" in stream.said()]

    (holder,) = until(ready, "one of them is at work", 240)
    (second,) = (stream for stream in both if stream is not holder)
    shop.land("1.csv", csv_text(events[:300]))
    holder.until_done()
    until(lambda: "waiting for its end" in second.said(), "the other waits", 240)
    assert "waiting for files" not in second.said()
    third, last = (shop.stream(stand_by="true") for _ in range(2))
    for stream in (third, last):
        stream.start()
    until(lambda: all("waiting for its end" in stream.said() for stream in (third, last)), "two more wait", 240)
    third.kill()
    last.signal(signal.SIGSTOP)
    assert holder.stop() == 0  # SIGTERM: it says goodbye, and the one that stands by goes on
    second.until_ready()
    shop.land("2.csv", csv_text(events[300:600]))
    second.until_done()
    last.signal(signal.SIGCONT)  # whom it waited for is gone, and another at work
    time.sleep(5)
    assert last.ended() is None
    assert marked(last.folders).latest == 2
    last.signal(signal.SIGSTOP)
    second.signal(signal.SIGSTOP)
    second.kill()
    last.signal(signal.SIGCONT)
    last.until_ready()
    shop.land("3.csv", csv_text(events[600:]))
    last.until_done()
    assert last.stop() == 0
    epoch = current(last.folders)
    assert epoch is not None
    assert epoch.number == 3
    everything_once(last, events)
    one_writer(last)
