"""Signals that wait, in this process and at the start of a JVM."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.core.interrupts import interrupts_later
from tests.api.client import ROOT
from tests.stream.shop import until

STARTS = (
    "from app.core.settings import Settings; from app.core.spark import create_session; create_session(Settings(), 'x')"
)


def test_a_signal_comes_at_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with interrupts_later():
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]


def test_handlers_are_as_they_were_but_for_one_that_the_block_set() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        with interrupts_later():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (before[0], signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGTERM, before[1])


def test_another_thread_goes_on_as_ever() -> None:
    passed = threading.Event()

    def work() -> None:
        with interrupts_later():
            passed.set()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed.is_set()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here to look for a JVM in")
def test_a_program_told_to_stop_while_its_jvm_starts_leaves_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", STARTS], cwd=ROOT, start_new_session=True)
    try:
        until(lambda: _java_of(process.pid), "a JVM that starts", 60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
        until(lambda: not _java_of(process.pid), "the JVM's end", 30)
    finally:
        if _java_of(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _java_of(session: int) -> bool:
    """Whether a JVM of the session runs."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has just ended
        if name == "java" and int(rest.split()[3]) == session:
            return True
    return False
