"""One holder at a time: taken at once from one that is gone or said goodbye, after a while from one that is silent."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core import lease as module
from app.core.errors import InputError, VitrineError
from app.core.lease import Lease

PRODUCTION = module.BEAT, module.EXPIRY
EXPIRY = 3.0
AT_ONCE = EXPIRY / 2  #: without waiting till a lease has expired, on a machine that does much else as well
HOLD = """
import sys, time
from pathlib import Path
from app.core import lease as module
module.BEAT = 0.3
lease = module.Lease(Path(sys.argv[1]), "the shop")
lease.acquire(wait=False, say=print)
print("held", lease.epoch, flush=True)
while not lease.lost.wait(0.1):
    pass
print("lost", flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.3)
    monkeypatch.setattr(module, "EXPIRY", EXPIRY)


def test_a_lease_stands_two_missed_signs_of_life_and_has_expired_within_twenty_seconds() -> None:
    beat, expiry = PRODUCTION
    assert 3 * beat <= expiry <= 20


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held 1\n"
        yield process
        process.send_signal(signal.SIGCONT)
        process.kill()


def of_another_machine(folder: Path, epoch: int) -> None:
    """As if the holder ran where its processes can't be seen."""
    path = folder / f"e{epoch:06d}"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"space": "elsewhere", "host": "node-2"}))


def acquired(folder: Path, *, wait: bool = False) -> Lease:
    lease = Lease(folder, "the shop")
    lease.acquire(wait=wait, say=lambda line: None)
    return lease


def test_a_free_one_is_taken_at_once_and_given_back(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        begun = time.monotonic()
        lease = acquired(tmp_path / "new")
        assert time.monotonic() - begun < AT_ONCE
        assert lease.epoch == epoch
        assert lease.seems_held()
        lease.check()
        lease.release()
        assert not lease.seems_held()


def test_whoever_comes_second_is_told_of_the_first(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    second = Lease(tmp_path, "the shop")
    with pytest.raises(InputError) as refused:
        second.approach(wait=False, say=lambda line: None)
    assert f"the shop: process {other.pid} on " in str(refused.value)
    assert "one at a time" in str(refused.value)


def test_a_holder_that_was_killed_here_is_not_waited_for(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    begun = time.monotonic()
    assert acquired(tmp_path).epoch == 2
    assert time.monotonic() - begun < AT_ONCE


def test_a_holder_elsewhere_that_is_silent_has_expired(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    of_another_machine(tmp_path, 1)
    begun = time.monotonic()
    lease = Lease(tmp_path, "the shop")
    lease.approach(wait=False, say=lambda line: None)
    assert 0.5 < time.monotonic() - begun < 3  # long enough to see one who is alive
    lease.acquire(wait=False, say=lambda line: None)
    assert 2.9 < time.monotonic() - begun < 6
    assert lease.epoch == 2


def test_one_who_waits_says_so_once(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    said: list[str] = []
    lease = Lease(tmp_path, "the shop")
    waiting = threading.Thread(target=lease.acquire, kwargs={"wait": True, "say": said.append})
    waiting.start()
    time.sleep(4)  # longer than it would take to expire
    assert lease.epoch == 0
    other.kill()
    other.wait()
    waiting.join(5)
    assert lease.epoch == 2
    (line,) = said
    assert f"process {other.pid}" in line
    assert "waiting" in line


def test_a_paused_holder_is_replaced_and_notices(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGSTOP)
    lease = acquired(tmp_path, wait=True)
    assert lease.epoch == 2
    other.send_signal(signal.SIGCONT)
    assert other.stdout is not None
    assert other.stdout.readline() == "lost\n"
    lease.check()


def test_one_that_was_replaced_is_told_before_it_writes(tmp_path: Path) -> None:
    first = acquired(tmp_path)
    (tmp_path / "e000002").write_text("{half")
    with pytest.raises(VitrineError, match="another process has taken over"):
        first.check()
    assert first.lost.is_set()


def _race(folder: Path, barrier: threading.Barrier) -> None:
    barrier.wait()
    lease = Lease(folder, "the shop")
    try:
        lease.acquire(wait=False, say=lambda line: None)
    except InputError:
        os._exit(3)
    (folder / f"won-{os.getpid()}").touch()
    time.sleep(2)
    os._exit(0)


def test_of_many_at_once_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    racers = [context.Process(target=_race, args=(tmp_path, barrier)) for _ in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert sorted(-1 if racer.exitcode is None else racer.exitcode for racer in racers) == [0, 3, 3, 3, 3, 3]
    assert len(list(tmp_path.glob("won-*"))) == 1


def test_a_folder_that_was_moved_away_and_begun_anew_is_another_ones(tmp_path: Path) -> None:
    """Its epochs begin at 1 again: lower than that of the one who holds what was moved."""
    folder = tmp_path / "lease"
    for _ in range(2):
        acquired(folder).release()
    old = acquired(folder)
    folder.rename(tmp_path / "moved")
    with pytest.raises(VitrineError, match="has taken over"):
        old.check()
    for epoch in (1, 2, 3):  # at last even of the same number
        new = acquired(folder)
        assert new.epoch == epoch
        with pytest.raises(VitrineError, match="has taken over"):
            old.check()
        new.check()
        new.release()
    old.release()
    assert acquired(folder).epoch == 4  # and the last one's goodbye stands


def test_one_that_sees_no_new_names_is_told_in_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, where a listing may be of a minute ago; also if it was paused just before a beat."""
    first = acquired(tmp_path)
    first._released.set()  # paused
    first_record = (tmp_path / "e000001").read_text()
    of_another_machine(tmp_path, 1)
    second = acquired(tmp_path, wait=True)
    monkeypatch.setattr(first, "_newest", lambda: 1)
    with pytest.raises(VitrineError, match="has taken over"):
        first.check()
    (tmp_path / "e000001").write_text(first_record)  # its beat, late
    first.check()
    time.sleep(3 * module.BEAT)
    with pytest.raises(VitrineError, match="has taken over"):
        first.check()
    second.check()


def test_an_old_listing_makes_nobody_spin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice a look at most, however long the holder's next beat takes on a machine that does much else."""
    monkeypatch.setattr(module, "EXPIRY", 60.0)
    first = acquired(tmp_path)
    first.release()
    second = acquired(tmp_path)
    mine, begun, looks = threading.current_thread(), time.monotonic(), 0

    def old(folder: Path) -> list[str]:
        nonlocal looks
        if threading.current_thread() is mine:  # not the second, which beats
            looks += 1
            passed = time.monotonic() - begun
            assert passed < module.EXPIRY
            assert looks <= 4 + 2 * passed / module.LOOK
        return ["e000001"]

    third = Lease(tmp_path, "the shop")
    monkeypatch.setattr(module.os, "listdir", old)
    with pytest.raises(InputError, match="is at work there"):
        third.acquire(wait=False, say=print)
    monkeypatch.undo()
    second.check()


def test_whoever_is_killed_while_it_waits_is_in_nobodys_way(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    waiting = subprocess.Popen([sys.executable, "-c", HOLD.replace("wait=False", "wait=True"), str(tmp_path)])
    time.sleep(2)
    waiting.kill()
    waiting.wait()
    assert other.poll() is None
    other.kill()
    other.wait()
    begun = time.monotonic()
    assert acquired(tmp_path).epoch == 2
    assert time.monotonic() - begun < AT_ONCE


def test_a_holder_that_is_killed_while_paused_is_replaced_at_once(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGSTOP)
    time.sleep(1)
    other.kill()
    other.wait()
    begun = time.monotonic()
    assert acquired(tmp_path).epoch == 2
    assert time.monotonic() - begun < AT_ONCE


def test_one_who_waits_takes_over_at_the_holders_goodbye(tmp_path: Path) -> None:
    holder = acquired(tmp_path)
    waiting = Lease(tmp_path, "the shop")
    thread = threading.Thread(target=waiting.acquire, kwargs={"wait": True, "say": print})
    thread.start()
    time.sleep(1)
    assert waiting.epoch == 0
    holder.release()
    begun = time.monotonic()
    thread.join(5)
    assert waiting.epoch == 2
    assert time.monotonic() - begun < AT_ONCE
    waiting.check()


def test_one_that_is_paused_amid_a_look_sees_that_the_holder_lives(
    tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the count that it knows, just before the next one, and wakes up long after."""
    monkeypatch.setattr(module, "EXPIRY", 1.0)
    second, reads = Lease(tmp_path, "the shop"), []
    read = second._read

    def paused(epoch: int) -> object:
        reads.append(read(epoch))
        if len(reads) != 2:
            return reads[-1]
        time.sleep(1.5 * module.EXPIRY)
        return reads[0]

    monkeypatch.setattr(second, "_read", paused)
    with pytest.raises(InputError, match="is at work there"):
        second.acquire(wait=False, say=print)
    assert len(reads) > 2
    assert other.poll() is None


def test_one_that_is_paused_before_it_takes_what_is_free_takes_nothing_that_another_holds_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquired(tmp_path).release()
    second, faster = Lease(tmp_path, "the shop"), list[Lease]()
    look = second._until_not_alive

    def paused(*args: object, **kwargs: object) -> None:
        look(*args, **kwargs)
        faster.append(acquired(tmp_path))

    monkeypatch.setattr(second, "_until_not_alive", paused)
    with pytest.raises(InputError, match="is at work there"):
        second.acquire(wait=False, say=print)
    (holder,) = faster
    holder.check()
    assert holder.epoch == 2


def test_one_that_was_held_up_together_with_the_holder_takes_nothing_from_it(
    tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two drivers of a node that is frozen: the one that waits is first to go on."""
    second, looks = Lease(tmp_path, "the shop"), list[object]()
    look, went_on = second._look, threading.Event()

    def frozen() -> object:
        if len(looks) == 3:
            other.send_signal(signal.SIGSTOP)
            look()  # the holder's last sign of life is known
            time.sleep(1.5 * EXPIRY)
            threading.Timer(0.5, other.send_signal, [signal.SIGCONT]).start()
        looks.append(look())
        if len(looks) == 10:
            went_on.set()
        return looks[-1]

    monkeypatch.setattr(second, "_look", frozen)
    waiting = threading.Thread(target=second.acquire, kwargs={"wait": True, "say": print})
    waiting.start()
    assert went_on.wait(4 * EXPIRY)
    assert (second.epoch, other.poll()) == (0, None)
    other.kill()
    other.wait()
    waiting.join(2 * EXPIRY)
    assert second.epoch == 2
    second.release()


def test_a_process_of_another_user_that_is_hidden_is_not_taken_for_gone(
    other: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `/proc` with `hidepid` has it."""
    holder, _ = Lease(tmp_path, "the shop")._read(1)
    assert holder is not None
    read, kill = Path.read_text, os.kill

    def hidden(path: Path, *args: object) -> str:
        if str(path) == f"/proc/{other.pid}/stat":
            raise FileNotFoundError
        return read(path, *args)

    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", hidden)
    monkeypatch.setattr(os, "kill", forbidden)
    gone = holder.is_gone()
    monkeypatch.setattr(os, "kill", kill)
    assert not gone
    other.kill()
    other.wait()
    assert holder.is_gone()
