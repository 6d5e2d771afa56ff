"""Implicit ALS by processes, with the result of one, to the last bit.

The rows of a side are solved apart (`app.learn.als_rows`). Threads would wait for each other between products, for
Python's lock and that of OpenBLAS (its issue 5589); factors and rows are files that all processes have mapped.
(Processes of joblib's pools outlive a killed driver.)
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from app.core.errors import InputError, VitrineError
from app.learn.als_rows import block_starts, solve_rows

OTHER = {"user": "item", "item": "user"}  #: side of a side
FACTORS = ("user_factors", "item_factors")
ROWS = ("data", "indices", "indptr")  #: arrays of a sparse matrix, a file each


@dataclass(frozen=True)
class Block:
    """Rows from `start` to before `stop` of a side, to be solved by what the other side's factors are now."""

    side: str
    start: int
    stop: int
    regularization: float
    steps: int


@dataclass(frozen=True)
class Worker:
    """A process, and the line to it, which ends when either of the two does."""

    process: subprocess.Popen[bytes]
    line: Connection

    def wait(self) -> None:
        try:
            failure = self.line.recv()
        except (EOFError, OSError):
            raise InputError(
                f"a process that learns ALS has ended (exit code {self.process.wait()}; -9 is a kill, as by a system "
                "whose memory is short): use a larger machine, or let Spark learn it (VITRINE_ALS_ENGINE=spark)"
            ) from None
        if failure is not None:
            raise VitrineError(f"a process that learns ALS failed: {failure}")


class SharedALS(AlternatingLeastSquares):
    """The library's ALS, whose rows are shared out to processes by way of files in `folder`."""

    def __init__(self, folder: Path, processes: int, **parameters: Any):
        super().__init__(**parameters)
        self.folder, self.processes = folder, processes

    def fit(self, user_items: csr_matrix, show_progress: bool = False, callback: Any = None) -> None:
        # Over NFS a file that is still mapped, as after an error, can't be deleted; the scratch folder is gone later.
        with (
            TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as shared,
            _workers(shared, self.processes) as self._workers,
        ):
            self._shared, self._bounds = Path(shared), dict[str, list[int]]()
            super().fit(user_items, show_progress, callback)
            for name in FACTORS:
                setattr(self, name, np.array(getattr(self, name)))

    @property
    def solver(self) -> Any:
        """The library asks once in a fit, when factors have their first values: from then on they are shared."""
        for name in FACTORS:
            np.save(self._shared / name, getattr(self, name))  # which tells of a full disk: a map would be a SIGBUS
            setattr(self, name, _mapped(self._shared, name))
        return self._solve

    def _solve(self, rows: csr_matrix, factors: object, others: object, regularization: float, **_: object) -> None:
        side = "user" if factors is self.user_factors else "item"
        if side not in self._bounds:
            for name in ROWS:
                np.save(self._shared / f"{side}_{name}", getattr(rows, name))
            self._bounds[side] = shares(rows.indptr, self.factors, self.processes)
        bounds = self._bounds[side]
        for worker, start, stop in zip(self._workers, bounds, bounds[1:], strict=False):
            with suppress(OSError):  # of one that has ended, as waiting for it says
                worker.line.send(Block(side, start, stop, regularization, self.cg_steps))
        for worker in self._workers:
            worker.wait()


def shares(indptr: NDArray[np.int32], factors: int, processes: int) -> list[int]:
    """Where each of so many processes starts, at a block, and the number of rows.

    A row costs as much as factors / 20 entries.
    """
    starts = block_starts(indptr)
    costs = indptr[starts] + starts * (factors / 20)
    return starts[np.searchsorted(costs, np.linspace(0, costs[-1], processes + 1))].tolist()


@contextmanager
def _workers(folder: str, processes: int) -> Iterator[list[Worker]]:
    """Processes that wait for blocks, and are killed at the end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        workers = []
        for _ in range(processes):
            ours, theirs = (stack.enter_context(closing(end)) for end in Pipe())
            command = [sys.executable, "-P", "-c", f"from {__name__} import work; work()", folder, str(theirs.fileno())]
            # A group of its own, since Ctrl-C is for the driver alone.
            process = subprocess.Popen(
                command, env=environment, pass_fds=[theirs.fileno()], process_group=0, stdin=subprocess.DEVNULL
            )
            theirs.close()  # so that the line ends with the process
            stack.callback(process.wait)
            stack.callback(process.kill)
            workers.append(Worker(process, ours))
        yield workers


def work() -> None:
    """The program of a process: solve the blocks that come down the line, until it ends."""
    folder, line = Path(sys.argv[1]), Connection(int(sys.argv[2]))
    with threadpool_limits(1, "blas"), suppress(EOFError, OSError):
        while True:
            line.send(_solved(folder, line.recv()))


def _solved(folder: Path, block: Block) -> str | None:
    """None, or what failed."""
    try:
        data, indices, indptr = (_mapped(folder, f"{block.side}_{name}") for name in ROWS)
        factors, others = (_mapped(folder, f"{side}_factors") for side in (block.side, OTHER[block.side]))
        starts = indptr[block.start : block.stop + 1]
        entries = slice(starts[0], starts[-1])
        rows = csr_matrix((data[entries], indices[entries], starts - starts[0]), shape=(len(starts) - 1, len(others)))
        solved = factors[block.start : block.stop]
        solve_rows(rows, solved, others, block.regularization, block.steps)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _mapped(folder: Path, name: str) -> NDArray[Any]:
    """Writable, since the library takes no other arrays."""
    return np.load(folder / f"{name}.npy", mmap_mode="r+")
