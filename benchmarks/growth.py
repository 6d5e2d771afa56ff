"""How one visit's time, visits a second and the bundle's size grow with the sessions that are learned from.

    python benchmarks/growth.py [--events 40000] [--times 1,10,100] [--bundles FOLDER]

For each size a synthetic shop is made, and a recommender learned from its whole log by the classes of a training,
with all generators that are set and a LambdaMART as large as a learned one, of grades by chance: lists mean nothing,
times do. Then visits are asked on one core, as `benchmarks/serve.py` asks them: half of them of known users, who have
the history that the log gives them, in sessions of up to five products.

With --bundles the bundles are kept in a folder, and those that it holds already are measured as they are: so learning
may go on beside other work, and the times be taken when the machine is quiet. Users grow with the events, products
with their square root.

Progress is on standard error. Prints a table, and closes with one JSON line: `sizes`, a list of {events, sessions,
products, users, learning_s, learning_peak_mb (all processes), bundle_mb, p50_ms, p99_ms, visits_a_second}.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from memory import PeakMemory
from serve import SINGLE_VISITS, timed, trees, visitors
from threadpoolctl import threadpool_limits

from app.core.files import write_text
from app.core.parts import row_count
from app.core.progress import Progress
from app.core.settings import Settings, load_settings
from app.core.spark import create_session
from app.events.ingest import ingest
from app.features.slices import make_slice
from app.insight.segments import fit_segments
from app.learn.recommender import fit_recommender
from app.serve.recommender import Recommender
from app.synthetic import generate

BATCH, BATCHES = 1_024, 10
LEARNED = "learned.json"  #: beside the bundle, written last


@dataclass(frozen=True)
class Learned:
    """What a bundle was learned from, and what that took."""

    events: int
    sessions: int
    seconds: float
    peak_mb: int


@dataclass(frozen=True)
class Size:
    """A row of the table, in the units of the names."""

    events: int
    sessions: int
    products: int
    users: int
    learning_s: float
    learning_peak_mb: int
    bundle_mb: float
    p50_ms: float
    p99_ms: float
    visits_a_second: int


class Numbers(click.ParamType):
    """Whole numbers from 1, separated by commas."""

    name = "numbers"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        parts = value.split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is no list of whole numbers from 1, such as 1,10,100", param, ctx)
        return [int(part) for part in parts]


def learn(log: Path, settings: Settings, scratch: Path, bundle: Path) -> int:
    """Learn a bundle from the whole of a log; how many sessions it has."""
    spark = create_session(settings, "growth")
    try:
        until = datetime.now(UTC) + timedelta(days=1)
        report = ingest(spark, settings, str(log), scratch, "20000101_000000", until)
        known = make_slice(spark, report.cleaned, None, None, settings, scratch / "known")
        users = known.folder / "users"
        segments = fit_segments(spark, users, settings.segment_count, settings.seed, scratch / "segments")
        learned = fit_recommender(known, segments.users, settings, scratch / "fit")
        bundle.mkdir(parents=True, exist_ok=True)
        replace(learned, ranker=trees(learned, np.random.default_rng(3))).save(bundle)
        return row_count(known.folder / "sessions")
    finally:
        spark.stop()


def keep(events: int, settings: Settings, folder: Path) -> Learned:
    """Make a shop's log and the bundle of it, in `folder`/bundle; say beside it what that took, without the log."""
    with TemporaryDirectory() as scratch:
        log = Path(scratch, "shop.synthetic.csv")
        generate(log, events, settings.seed)
        begun = time.monotonic()
        with PeakMemory() as memory:
            sessions = learn(log, settings, Path(scratch), folder / "bundle")
        learned = Learned(events, sessions, round(time.monotonic() - begun, 1), round(memory.peak / 2**20))
    write_text(folder / LEARNED, json.dumps(asdict(learned)))
    return learned


def measure(folder: Path) -> Size:
    """Ask the bundle of a folder."""
    learned, bundle = Learned(**json.loads((folder / LEARNED).read_text())), folder / "bundle"
    recommender, rng = Recommender.load(bundle), np.random.default_rng(2)

    def asked(n: int, times: int) -> list[float]:
        return timed(times, lambda: recommender.recommend(visitors(recommender, n, rng), 10))

    with threadpool_limits(1):
        single, batch = asked(1, SINGLE_VISITS), asked(BATCH, BATCHES)
    return Size(
        events=learned.events,
        sessions=learned.sessions,
        products=len(recommender.catalogue),
        users=len(recommender.users.ids),
        learning_s=learned.seconds,
        learning_peak_mb=learned.peak_mb,
        bundle_mb=round(sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 2**20, 1),
        p50_ms=round(float(np.quantile(single, 0.5)) * 1000, 2),
        p99_ms=round(float(np.quantile(single, 0.99)) * 1000, 2),
        visits_a_second=round(BATCH / float(np.quantile(batch, 0.5))),
    )


@click.command(help=__doc__)
@click.option("--events", default=40_000, show_default=True, type=click.IntRange(1_000), help="Of the smallest shop.")
@click.option("--times", default="1,10,100", show_default=True, type=Numbers(), help="How many times as many, in turn.")
@click.option("--bundles", type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps the bundles.")
def main(events: int, times: list[int], bundles: Path | None) -> None:
    """Learn what is missing, measure, print."""
    settings = load_settings()
    progress = Progress(2 * len(times), lambda line: print(line, file=sys.stderr, flush=True))
    with TemporaryDirectory() as scratch:
        folders = {events * factor: (bundles or Path(scratch)) / str(events * factor) for factor in times}
        for number, folder in folders.items():
            with progress.stage(f"learn from {number:,} events") as stage:
                if (folder / LEARNED).exists():
                    stage.note = "there already"
                else:
                    stage.rows = keep(number, settings, folder).sessions
        sizes = []
        for number, folder in folders.items():
            with progress.stage(f"ask the bundle of {number:,} events"):
                sizes.append(asdict(measure(folder)))
    print("".join(f"{name:>17}" for name in sizes[0]))
    for size in sizes:
        print("".join(f"{value:>17,}" for value in size.values()))
    print(json.dumps({"sizes": sizes}))


if __name__ == "__main__":
    main()
