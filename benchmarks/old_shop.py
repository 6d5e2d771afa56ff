"""What a retraining of the last days costs in a shop that has been open for long, beside one that opened lately.

    python benchmarks/old_shop.py --months 1,24 --folders 2

Makes a synthetic log of the longest time and, for each length, an archive of its end, as a stream leaves it: so many
folders a day, each with its manifest. Then trains on each with VITRINE_TRAINING_DAYS, in turn, and holds seconds and
CPU seconds of all processes against one another: what is read and learned from is the same, what is passed over is
not. Ends with one JSON line: `shops`, a list of {months, folders, archived, kept, seconds, cpu_s, stages}.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from pyspark.sql.pandas.types import to_arrow_schema

from app.core.folders import Output
from app.events.archive import ARCHIVE_SCHEMA
from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import EPOCHS, BatchRange, mark_name
from app.results.files import read_run
from app.stream.intake import MINUTE, window_starts
from app.synthetic import generate

MONTH = 30  #: days
BATCHES = 64  #: micro-batches in a folder
WINDOW = 5 * MINUTE
EVERY = 0.5  #: seconds between two looks at what processes took


def read_log(log: Path) -> pa.Table:
    """The log as a stream archives it."""
    schema = to_arrow_schema(ARCHIVE_SCHEMA, timezone="UTC")
    table = pyarrow.csv.read_csv(
        log, convert_options=pyarrow.csv.ConvertOptions(column_types={"event_time": pa.string()})
    )
    times = pc.strptime(pc.utf8_slice_codeunits(table["event_time"], 0, 19), "%Y-%m-%d %H:%M:%S", "us")
    table = table.set_column(0, "event_time", pc.assume_timezone(times, "UTC"))
    columns = {
        name: table[name].cast(kind) if name in table.column_names else pa.nulls(len(table), kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    }
    return pa.table(columns, schema)


def parts(events: pa.Table, folders: int) -> Iterator[tuple[float, pa.Table]]:
    """Events of an equal part of a day each, and the second since 1970 at which it ends."""
    seconds = 86_400 // folders
    numbers = pc.divide(events["event_time"].cast(pa.int64()), seconds * 1_000_000).to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for begin, end in pairwise(borders):
        yield float(numbers[begin] + 1) * seconds, events.slice(begin, end - begin)


def archive(events: pa.Table, folder: Path, folders: int) -> int:
    """Write an archive; how many folders it has."""
    (folder / EPOCHS).mkdir(parents=True)
    (folder / EPOCHS / mark_name(1, 0)).touch()
    number = 0
    for number, (ended, rows) in enumerate(parts(events, folders), 1):
        target = folder / BatchRange((number - 1) * BATCHES, number * BATCHES - 1, 1).name
        target.mkdir()
        pq.write_table(rows, target / "part-00000.parquet")
        windows = np.unique(window_starts(rows["event_time"].combine_chunks(), WINDOW)).tolist()
        begun = ended - 86_400 / folders
        write_manifest(target, Manifest(rows=len(rows), windows=windows, written=ended, begun=begun))
    return number


def cpu_seconds(command: list[str]) -> tuple[float, float]:
    """Run a command: how long it took, and what all its processes took of the cores."""
    begun, taken = time.monotonic(), dict[int, float]()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                taken[each.pid] = times.user + times.system
        except psutil.NoSuchProcess:  # it has just ended
            pass
        time.sleep(EVERY)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with exit code {process.returncode}")
    return time.monotonic() - begun, sum(taken.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", default="1,24", help="ages of the shops, in months of 30 days")
    parser.add_argument("--folders", type=int, default=2, help="folders of the archive a day")
    parser.add_argument("--events", type=int, default=3_000, help="events a day")
    parser.add_argument("--days", type=int, default=MONTH, help="days that a training reads")
    parser.add_argument("--output", type=Path, default=Path("old-shop"), help="work folder, kept between runs")
    asked = parser.parse_args()
    months = [int(part) for part in asked.months.split(",")]
    root: Path = asked.output.absolute()
    days = max(months) * MONTH
    log = root / f"shop-{days}-{asked.events}.synthetic.csv"
    if not log.exists():
        root.mkdir(parents=True, exist_ok=True)
        generate(log, asked.events * days, 42, days=days)
    events, found = read_log(log), []
    end = pc.max(events["event_time"]).as_py()
    os.environ["VITRINE_TRAINING_DAYS"] = str(asked.days)
    for age in months:
        name = f"{age}-months-{asked.folders}"
        folder, output = root / f"archive-{name}.synthetic", root / f"out-{name}"
        own = events.filter(pc.greater(events["event_time"], end - timedelta(days=age * MONTH)))
        if not folder.exists():
            archive(own, folder, asked.folders)
        vitrine = str(Path(sys.executable).with_name("vitrine"))
        seconds, cpu = cpu_seconds([vitrine, "train", "--events", str(folder), "--output", str(output)])
        run = read_run(Output(output).run)
        found.append(
            {
                "months": age,
                "folders": len([*folder.glob("batches-*")]),
                "archived": len(own),
                "kept": run.cleaning.kept,
                "seconds": round(seconds, 1),
                "cpu_s": round(cpu, 1),
                "stages": {stage.stage: round(stage.seconds, 1) for stage in run.stages},
            }
        )
        print(json.dumps(found[-1]), file=sys.stderr)
    print(json.dumps({"synthetic": True, "days": asked.days, "shops": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
