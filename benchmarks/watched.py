"""A training watched from outside: what each of its stages takes in seconds, memory and disk.

Memory is that of all its processes, sampled. Spilled is what Spark's tasks put on disk for want of memory, by Spark's
event log, and the largest size that DuckDB's own files reached between two samples.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memory import EVERY, tree_bytes

BEGINS = re.compile(r"\[ *\d+/\d+\] (.+) …$")  #: a stage's first line
START = "start"  #: until the first stage
DUCKDB_FILES = re.compile("duckdb_temp_")
CONFIGURATION = """\
spark.eventLog.enabled true
spark.eventLog.dir file:{folder}
spark.eventLog.rolling.enabled false
spark.eventLog.compress false
spark.driver.defaultJavaOptions -XX:+UseParallelGC
"""  #: the last line is what a training sets where the user has no configuration


@dataclass(frozen=True)
class StageCost:
    """What a stage took: seconds until the next one began, peak of memory and bytes spilled, both in MB."""

    stage: str
    seconds: float
    peak_mb: int
    spilled_mb: int


@dataclass(frozen=True)
class _Begun:
    """A stage that began: by the clock of the process, and of the day in ms."""

    stage: str
    at: float
    day_ms: float


class _Stages:
    """Stages as a training's progress names them; its lines are handed on."""

    def __init__(self) -> None:
        self.begun = [_Begun(START, time.monotonic(), time.time() * 1000)]

    def follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            if found := BEGINS.match(line.rstrip()):
                self.begun.append(_Begun(found[1], time.monotonic(), time.time() * 1000))


def watched(command: list[str], output: Path, scratch: Path) -> tuple[StageCost, ...]:
    """Run a training to its end, and say what each stage took.

    Parameters
    ----------
    command
        `vitrine train` with its arguments.
    output
        Its output folder, in which DuckDB's files lie while it runs.
    scratch
        Folder for Spark's configuration and event log; it must not exist.
    """
    (scratch / "log").mkdir(parents=True)
    (scratch / "spark-defaults.conf").write_text(CONFIGURATION.format(folder=scratch / "log"))
    environment = os.environ | {"SPARK_CONF_DIR": str(scratch)}
    peaks: dict[int, int] = defaultdict(int)
    duckdb: dict[int, int] = defaultdict(int)
    stages = _Stages()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        reader = threading.Thread(target=stages.follow, args=(process,))
        reader.start()
        while process.poll() is None:
            now = len(stages.begun) - 1
            peaks[now] = max(peaks[now], tree_bytes(process.pid))
            duckdb[now] = max(duckdb[now], _sizes(output))
            time.sleep(EVERY)
        reader.join()
    ended = time.monotonic()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with exit code {process.returncode}; the lines above say why")
    spark = _spilled(scratch / "log", stages.begun)
    ends = [*(stage.at for stage in stages.begun[1:]), ended]
    return tuple(
        StageCost(begun.stage, round(end - begun.at, 1), peaks[place] // 2**20, (duckdb[place] + spark[place]) // 2**20)
        for place, (begun, end) in enumerate(zip(stages.begun, ends, strict=True))
    )


def _sizes(output: Path) -> int:
    """Bytes of DuckDB's files now."""
    total = 0
    for folder, _, names in os.walk(output):  # passes over folders that go while it walks
        for name in filter(DUCKDB_FILES.match, names):
            with suppress(OSError):  # gone since it was listed
                total += os.stat(os.path.join(folder, name)).st_size
    return total


def _spilled(logs: Path, begun: list[_Begun]) -> dict[int, int]:
    """Bytes that Spark's tasks spilled, by place of the stage in which they ended."""
    found: dict[int, int] = defaultdict(int)
    for log in logs.iterdir():
        with log.open() as lines:
            for line in lines:
                if not line.startswith('{"Event":"SparkListenerTaskEnd"'):
                    continue
                task = json.loads(line)
                ended = task["Task Info"]["Finish Time"]
                place = sum(stage.day_ms <= ended for stage in begun) - 1
                found[max(place, 0)] += task.get("Task Metrics", {}).get("Disk Bytes Spilled", 0)
    return found
