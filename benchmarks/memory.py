"""Memory of a command with all its processes (Python, JVM, workers), where `time -v` sees the first alone.

    python benchmarks/memory.py vitrine train --events shop.synthetic.csv --output out

Runs the command, samples the proportional set size of its process tree (pages that processes share
count once; Linux only), and ends with one JSON line: seconds, peak, and the command's exit code.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

EVERY = 0.5  #: seconds between samples


def tree_bytes(root: int) -> int:
    """Proportional set size of a process and its descendants, in bytes."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    total, rest = 0, [root]
    while rest:
        pid = rest.pop()
        rest += children.get(pid, [])
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class PeakMemory:
    """The largest `tree_bytes` of this process within a `with` block, in `peak`."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._over.wait(EVERY):
            self.peak = max(self.peak, tree_bytes(os.getpid()))

    def __enter__(self) -> "PeakMemory":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._sampler.join()


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    begun, peak = time.monotonic(), 0
    with subprocess.Popen(sys.argv[1:]) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(EVERY)
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({"seconds": seconds, "peak_mb": round(peak / 2**20), "exit_code": process.returncode}))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
