"""kill -9 around publishing, many times, with a reader polling: it never sees half of anything.

The writer is a process of its own that writes, publishes and prunes bundles of the size of real ones
as fast as it can.
"""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BundleError
from app.core.files import LEFTOVER_SECONDS
from app.core.folders import Output
from app.registry import bundle
from app.registry.manifest import MANIFEST
from app.registry.registry import LOCK, POINTER, STAGING, Registry
from app.synthetic import generate
from tests.registry.bundles import Entries
from tests.small_spark import SMALL_MODELS

KILLS = 48
FILES, BYTES = 30, 100_000  # in a bundle: 3 MB
KEEP = 5
TRAINING_KILLS = 2


def write_forever(models: Path) -> None:
    """What the killed process does."""
    content = os.urandom(BYTES)

    def fill(folder: Path) -> None:
        for number in range(FILES):
            path = folder / f"generators/{number % 4}/{number}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(number.to_bytes(4) + content)

    while True:
        folder = Registry(models).add(f"{time.time_ns():020}", Entries(), fill)
        Registry(models).publish(folder.name)
        Registry(models).prune(KEEP)


class Reader(threading.Thread):
    """Polls CURRENT and verifies the bundle it names, as the stream does between batches."""

    def __init__(self, models: Path, pause: float) -> None:
        super().__init__(daemon=True)
        self.models, self.pause, self.done = models, pause, threading.Event()
        self.polls, self.seen, self.broken = 0, set[str](), list[str]()

    def run(self) -> None:
        while not self.done.is_set():
            pointer = self.models / POINTER
            if not pointer.exists():
                if self.polls:
                    self.broken.append("the pointer is gone")
                time.sleep(0.001)
                continue
            text = pointer.read_text()
            if not text.endswith("\n"):
                self.broken.append(f"half a pointer: {text!r}")
            folder = Registry(self.models).champion()
            assert folder is not None
            try:
                bundle.verify(folder)
            except BundleError as error:
                self.broken.append(str(error))
            self.seen.add(folder.name)
            self.polls += 1
            time.sleep(self.pause)

    def stop(self) -> None:
        self.done.set()
        self.join(60)


@contextmanager
def reading(models: Path, pause: float = 0.002) -> Iterator[Reader]:
    reader = Reader(models, pause)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


def rubbish(models: Path) -> list[str]:
    kept = {LOCK, POINTER, *Registry(models).history()}
    return sorted(path.name for path in models.iterdir() if path.name not in kept)


def moments(models: Path) -> tuple[object, ...]:
    """What changes while files are written, before the renaming, before the publication, after it."""
    bundles = [path for path in models.iterdir() if not path.name.startswith(".")]
    staging = list(models.glob(f"{STAGING}*"))
    manifests = list(models.glob(f"{STAGING}*/{MANIFEST}"))
    return len(staging), manifests, len(bundles), Registry(models).history()


def age(models: Path) -> None:
    """As if a day had passed since the kills."""
    then = time.time() - LEFTOVER_SECONDS - 60
    for path in [*models.glob(f"{STAGING}*"), *models.glob(f".{POINTER}.*")]:
        os.utime(path, (then, then))


def test_a_killed_writer_never_shows_half_a_bundle(tmp_path: Path, record_property: Any) -> None:
    models, dice = tmp_path / "models", random.Random(4)
    Registry(models).publish(Registry(models).add("0", Entries(), lambda _: None).name)
    left = published = 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that a writer starts at once
    with reading(models) as reader:
        for number in range(KILLS):
            writer = context.Process(target=write_forever, args=(models,), daemon=True)
            before = moments(models)
            writer.start()
            while moments(models)[number % 4] == before[number % 4]:
                assert writer.is_alive()
                time.sleep(0.0002)
            time.sleep(dice.uniform(0, 0.02))
            writer.kill()
            writer.join(60)
            assert writer.exitcode == -signal.SIGKILL
            left = max(left, len(list(models.glob(f"{STAGING}*"))))
            champion = Registry(models).champion()
            assert champion is not None
            bundle.verify(champion)
            published += Registry(models).history() != before[3]
    print(
        f"\n{KILLS} kills, {published} after publication, {reader.polls} polls, {len(reader.seen)} bundles seen, "
        f"{left} staging folders left"
    )
    record_property("polls", reader.polls)
    assert reader.broken == []
    assert reader.polls > KILLS
    assert left > 5  # else the kills missed the writing
    assert 5 < published < KILLS - 5  # and some came before the publication, some after
    for path in models.iterdir():  # what has a bundle's name is whole, published or not
        if path.is_dir() and not path.name.startswith("."):
            bundle.verify(path)
    age(models)
    Registry(models).prune(KEEP)
    assert not list(models.glob(f"{STAGING}*"))
    assert len([path for path in models.iterdir() if path.is_dir()]) in (KEEP, KEEP + 1)


def train(log: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app.cli", "train", "--events", str(log), "--output", str(output)]
    command += ["--master", "local[2]", "--driver-memory", "1g", "--force-publish", "--json"]
    quick = SMALL_MODELS | {"VITRINE_GENERATORS": "als,popularity"}
    quick |= {"VITRINE_SHUFFLE_PARTITIONS": "1"}  # a training of so small a log takes a fifth less
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | quick,
        start_new_session=True,
    )


def kill(training: subprocess.Popen[str]) -> None:
    os.killpg(training.pid, signal.SIGKILL)  # Python and its JVM
    training.communicate(timeout=60)


def wait_for(training: subprocess.Popen[str], happened: Any) -> None:
    end = time.monotonic() + 400
    while not happened():
        assert training.poll() is None, training.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.slow(seconds=60)
@pytest.mark.timeout(1_500)
def test_a_killed_training_leaves_the_champion_whole(tmp_path: Path) -> None:
    log, output = tmp_path / "shop.synthetic.csv", Output(tmp_path / "out")
    generate(log, 4_000, 1, days=8)
    with reading(output.models, pause=0.01) as reader:  # leaves the training its cores
        for number in range(TRAINING_KILLS):
            before, champion = Registry(output.models).history(), Registry(output.models).champion()
            training = train(log, output.root)
            if number % 2 == 0:  # the moment that it is published, the first time as the first of all
                wait_for(training, lambda before=before: Registry(output.models).history() != before)
            else:  # while it writes the bundle
                wait_for(training, lambda: any(output.models.glob(f"{STAGING}*")))
            kill(training)
            now = Registry(output.models).champion()
            assert now is not None
            bundle.verify(now)
            assert (now == champion) == (number % 2 == 1)
        next_one = train(log, output.root)
        summary, errors = next_one.communicate(timeout=400)
        assert next_one.returncode == 0, errors
        assert "Traceback" not in errors
    assert reader.broken == []
    assert reader.polls > 100
    print(f"\n{TRAINING_KILLS} trainings killed, {reader.polls} polls, {len(reader.seen)} bundles seen")
    now = Registry(output.models).champion()
    assert now is not None
    assert now.name == json.loads(summary)["version"]
    bundle.Bundle.open(now)
    age(output.models)
    Registry(output.models).prune(KEEP)
    assert rubbish(output.models) == []
