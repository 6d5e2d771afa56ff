"""Streams that start at once, are paused while they start, or are killed: lease and epoch in real processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.stream.epoch import current, marked
from app.stream.folders import StreamFolders
from app.stream.source_log import consumed_files
from tests.stream.test_epoch import spark_wrote

#: Takes the lease and begins, as a stream does; stands still before the step that is named until it gets a line.
START = """
import sys
from pathlib import Path
from app.core import lease as leases
from app.core.errors import VitrineError
from app.core.settings import Settings
from app.stream import epoch as module
from app.stream.folders import StreamFolders

leases.BEAT, leases.EXPIRY = 0.3, 2.0
output, step = Path(sys.argv[1]), sys.argv[2]
lease = leases.stream_lease(output)
try:
    print("ready", flush=True)
    sys.stdin.readline()
    lease.acquire(wait=step == "waits", say=lambda line: print("waiting", flush=True))
    if hasattr(module, step):
        real = getattr(module, step)
        def pausing(*args, **kwargs):
            print("here", flush=True)
            sys.stdin.readline()
            return real(*args, **kwargs)
        setattr(module, step, pausing)
    folders = StreamFolders.of(Settings(output=output))
    lease.check()
    folders.prepare()
    epoch = module.begin(folders, lease.epoch, lease.check)
    print("began", epoch.number, epoch.first, flush=True)
    sys.stdin.readline()
    lease.check()
    lease.release()
except VitrineError as error:
    print("lost" if "taken over" in str(error) else "refused", flush=True)
"""


class Starting:
    """A process that starts over an output folder."""

    def __init__(self, output: Path, step: str = "-"):
        command = [sys.executable, "-c", START, str(output), step]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.says() == "ready"

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


class Starts:
    """Processes of one test, and the folders that they share."""

    def __init__(self, output: Path):
        self.output, self.folders = output, StreamFolders.of(Settings(output=output))
        self._all: list[Starting] = []

    def add(self, step: str = "-") -> Starting:
        self._all.append(Starting(self.output, step))
        return self._all[-1]

    def end(self) -> None:
        for each in self._all:
            each.process.kill()
            each.process.communicate()


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    """The first stream has come to its second micro-batch, and ended."""
    made = Starts(tmp_path)
    first = made.add()
    first.go_on()
    assert first.says() == "began 1 0"
    epoch = current(made.folders)
    assert epoch is not None
    for batch in range(2):
        spark_wrote(epoch.checkpoint, batch)
    first.go_on()
    first.process.wait(20)
    yield made
    made.end()


def goes_on(starts: Starts, number: int) -> None:
    """Where the first was, and nobody else's word counts about what comes from there on."""
    epoch = current(starts.folders)
    assert epoch is not None
    assert (epoch.number, epoch.first) == (number, 2)
    assert consumed_files(epoch.checkpoint) == {"file:///landing/0.csv", "file:///landing/1.csv"}
    assert [marked(starts.folders).owner(batch) for batch in (1, 2)] == [1, number]


def test_two_that_start_at_once(starts: Starts) -> None:
    both = [starts.add() for _ in range(2)]
    for each in both:
        each.go_on()
    assert sorted(each.says() for each in both) == ["began 2 2", "refused"]
    goes_on(starts, 2)


@pytest.mark.parametrize("step", ["current", "copy_checkpoint", "take_over_windows", "_mark"])
def test_one_that_is_paused_while_it_begins(starts: Starts, step: str) -> None:
    """SIGSTOP: it is replaced, wakes up, and is in nobody's way."""
    paused, following = starts.add(step), starts.add("waits")
    paused.go_on()
    assert paused.says() == "here"
    paused.process.send_signal(signal.SIGSTOP)
    following.go_on()
    said = following.says()
    assert (following.says() if said == "waiting" else said) == "began 3 2"
    paused.go_on()
    paused.process.send_signal(signal.SIGCONT)
    assert paused.says() == "lost"
    goes_on(starts, 3)
    following.go_on()
    following.process.wait(20)
    assert following.process.returncode == 0
    assert following.says() == ""


def test_one_that_is_killed_while_paused_amid_its_beginning(starts: Starts) -> None:
    paused, following = starts.add("copy_checkpoint"), starts.add()
    paused.go_on()
    assert paused.says() == "here"
    paused.process.send_signal(signal.SIGSTOP)
    paused.process.kill()
    paused.process.wait()
    following.go_on()
    assert following.says() == "began 3 2"
    goes_on(starts, 3)
