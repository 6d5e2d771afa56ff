"""ALS by processes: the factors of one to the last bit, and nothing left of what fails or is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix, random
from threadpoolctl import threadpool_limits

from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from app.core.spark import cores_here
from app.learn import als, als_processes, als_rows
from app.learn.als_processes import Block, SharedALS, Worker, shares
from app.learn.als_rows import BlockwiseALS
from tests.learn.tables import session_tables

SMALL = {"factors": 4, "iterations": 3, "alpha": 2.0, "random_state": 1}

#: A driver that says who learns beside it, and then waits in the midst of learning.
DRIVER = """
import sys, time
from pathlib import Path
from scipy.sparse import random
from app.learn.als_processes import SharedALS

def told(*_):
    print(*(worker.process.pid for worker in model._workers), flush=True)
    time.sleep(60)

model = SharedALS(Path(sys.argv[1]), 2, factors=4)
try:
    model.fit(random(50, 40, 0.1, "csr", "f", 1), callback=told)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1, "blas"):
        yield


def same(found: AlternatingLeastSquares, matrix: csr_matrix) -> bool:
    """Whether factors are those of one process, to the last bit."""
    own = BlockwiseALS(**SMALL)
    own.fit(matrix, show_progress=False)
    return all(getattr(own, name).tobytes() == getattr(found, name).tobytes() for name in als_processes.FACTORS)


def test_shares_cost_the_same_and_start_at_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 factors a row costs two entries: 6 the first, which has four, and 2 the others."""
    indptr = np.array([0, 4, 4, 4, 4, 4], np.int32)
    assert shares(indptr, 40, 14) == [0] + [5] * 14
    monkeypatch.setattr(als_rows, "MOST_ROWS", 1)
    assert shares(indptr, 40, 1) == [0, 5]
    assert shares(indptr, 40, 2) == [0, 2, 5]
    assert shares(indptr, 40, 14) == [0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


class Here:
    """The line of a process that is this one."""

    def __init__(self, folder: str):
        self.folder, self.asked = folder, list[Block]()

    def send(self, block: Block) -> None:
        self.asked.append(block)

    def recv(self) -> str | None:
        return als_processes._solved(Path(self.folder), self.asked.pop())


@contextmanager
def workers_here(folder: str, processes: int) -> Iterator[list[Worker]]:
    yield [Worker(None, Here(folder)) for _ in range(processes)]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(1, 12), st.integers(0, 99))
def test_any_number_of_shares_gives_the_same_factors(
    tmp_path_factory: pytest.TempPathFactory, users: int, items: int, density: float, processes: int, seed: int
) -> None:
    matrix = random(users, items, density, "csr", "f", seed)
    model = SharedALS(tmp_path_factory.mktemp("als"), processes, **SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(als_processes, "_workers", workers_here)
        patch.setattr(als_rows, "MOST_ROWS", 2)
        model.fit(matrix)
        assert same(model, matrix)


def test_processes_give_the_same_factors_and_leave_nothing(tmp_path: Path) -> None:
    matrix = random(50, 40, 0.1, "csr", "f", 1)
    model = SharedALS(tmp_path, 3, **SMALL)
    model.fit(matrix)
    assert same(model, matrix)
    assert not isinstance(model.user_factors, np.memmap), "files are gone"
    assert not any(tmp_path.iterdir())
    assert len(model._workers) == 3
    assert not any(psutil.pid_exists(worker.process.pid) for worker in model._workers)


def test_no_file_is_mapped_when_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS keeps such a file under another name, so that its folder can't be deleted."""
    mapped: list[str] = []
    deleted: list[str] = []

    def cleanup(folder: TemporaryDirectory[str]) -> None:
        mapped.extend(line for line in Path("/proc/self/maps").read_text().splitlines() if folder.name in line)
        deleted.append(folder.name)

    monkeypatch.setattr(TemporaryDirectory, "cleanup", cleanup)
    model = SharedALS(tmp_path, 2, **SMALL)
    model.fit(random(50, 40, 0.1, "csr", "f", 1))
    assert len(deleted) == 1
    assert mapped == []


def fit_that_meets(tmp_path: Path, misfortune: Any) -> SharedALS:
    model = SharedALS(tmp_path, 2, **SMALL)
    model.fit(random(50, 40, 0.1, "csr", "f", 1), callback=lambda *_: misfortune(model))
    return model


def test_a_killed_process_ends_learning_in_a_line(tmp_path: Path) -> None:
    pids: list[int] = []

    def kill(model: SharedALS) -> None:
        pids.extend(worker.process.pid for worker in model._workers)
        model._workers[1].process.kill()

    with pytest.raises(InputError, match=r"ended \(exit code -9; .*: use a larger machine"):
        fit_that_meets(tmp_path, kill)
    assert len(pids) == 2
    assert not any(map(psutil.pid_exists, pids))


def test_an_error_ends_learning_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(VitrineError, match=r"ALS failed: FileNotFoundError: .*item_data\.npy"):
        fit_that_meets(tmp_path, lambda model: (model._shared / "item_data.npy").unlink())


@pytest.mark.parametrize("killed", [True, False])
def test_processes_end_with_the_driver_and_without_a_word(tmp_path: Path, killed: bool) -> None:
    """A kill is the driver's alone, Ctrl-C goes to its whole group."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # else the library warns
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen(command, env=environment, start_new_session=True, **piped)
    assert driver.stdout is not None
    processes = [psutil.Process(int(pid)) for pid in driver.stdout.readline().split()]
    assert len(processes) == 2
    driver.kill() if killed else os.killpg(driver.pid, signal.SIGINT)
    assert driver.communicate(timeout=20) == ("" if killed else "interrupted\n", "")
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def test_processes_do_without_spark() -> None:
    program = "import sys, app.learn.als_processes; sys.exit('pyspark' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_training_learns_by_processes_where_there_are_many_pairs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [[user % 7, 7 + user % 3] for user in range(20)]
    tables = session_tables(spark, tmp_path, sessions, 10)
    alone = als.fit_als(tables, Settings())
    asked = list[int]()
    monkeypatch.setattr(als, "ALONE", 39)
    monkeypatch.setattr(als_processes, "_workers", lambda folder, n: asked.append(n) or workers_here(folder, n))
    shared = als.fit_als(tables, Settings())
    assert asked == [2]
    assert np.array_equal(alone.user_factors, shared.user_factors)
    assert np.array_equal(alone.item_factors, shared.item_factors)


def test_cores_on_the_drivers_machine(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores_here(spark) == 2
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    wide = SimpleNamespace(master="local[2]", defaultParallelism=200)
    assert cores_here(SimpleNamespace(sparkContext=wide)) == 8
    for set_cores, cores in (({"spark.driver.cores": "4"}, 4), ({}, 1)):
        context = SimpleNamespace(master="k8s://https://here", defaultParallelism=99, getConf=lambda s=set_cores: s)
        assert cores_here(SimpleNamespace(sparkContext=context)) == cores
