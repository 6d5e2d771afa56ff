"""Training against what a user would pick instead, on the same file, in turn, on the same cores.

    python benchmarks/train.py --generate 4000000
    python benchmarks/train.py --events shop.csv --generators als,covisitation,popularity

Runs `vitrine train` and then `benchmarks/peer.py` (DuckDB, scikit-learn, implicit), each as a process of its own,
prints a table by stage, and ends with one JSON line: `ratio`, `vitrine_s`, `peer_s` (whole processes), `peak_mb` and
`peer_peak_mb` (all their processes), `up_to_segments_ratio`, `stages`, and HR@10 and NDCG@10 of both on the last
day's users who were seen before it. Figures of a generated log say nothing about a real shop's recommendations.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from memory import EVERY, tree_bytes

from app.core.folders import Output
from app.evaluate.names import BLEND, HR_10, MOST_POPULAR, NDCG_10, USER, WARM
from app.results.files import read_run
from app.results.run import RunResult

#: Which stages of both do the same work: Vitrine's, the peer's.
ALIKE = (
    ("clean", ("clean",), ("clean",)),
    ("explore", ("explore",), ("explore",)),
    ("pairs and features", ("user and product features", "features before the test slice"), ("pairs", "features")),
    ("segments", ("segments and profiles",), ("segments",)),
    ("train before the test slice", ("train before the test slice",), ("train before the test slice",)),
    ("evaluate", ("evaluate",), ("evaluate",)),
    ("train on everything", ("train on everything and publish",), ("train on everything",)),
    ("lists", ("lists for active users",), ("lists",)),
)
UP_TO_SEGMENTS = 4  #: so many of these come before any recommender


@dataclass(frozen=True)
class Ran:
    """A process that ended well: its seconds, the peak of its memory in MB, and the last line of its output."""

    seconds: float
    peak_mb: int
    last_line: str


def timed(command: list[str]) -> Ran:
    """Run a command to its end."""
    print(f"{Path(command[0]).name} {' '.join(command[1:])} …", file=sys.stderr)
    begun, peak = time.monotonic(), 0
    with TemporaryFile("w+") as output, subprocess.Popen(command, stdout=output) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(EVERY)
        seconds = time.monotonic() - begun
        output.seek(0)
        lines = output.read().splitlines()
    if process.returncode:
        sys.exit(f"{command[0]} {command[1]}: ended with exit code {process.returncode}; the lines above say why")
    return Ran(round(seconds, 1), round(peak / 2**20), lines[-1] if lines else "")


def vitrine(events: Path, output: Path, generators: str) -> tuple[Ran, RunResult]:
    """A training, and what it found."""
    program = str(Path(sys.executable).with_name("vitrine"))
    os.environ["VITRINE_GENERATORS"] = generators
    ran = timed([program, "train", "--events", str(events), "--output", str(output)])
    return ran, read_run(Output(output).run)


def quality(result: RunResult) -> dict[str, dict[str, float]]:
    """HR@10 and NDCG@10 by model, of users seen before the test slice."""
    rows = result.quality.rows if result.quality else ()
    return {
        row.model: {name: round(row.metrics[name].mean, 4) for name in (HR_10, NDCG_10)}
        for row in rows
        if row.task == USER and row.slice == WARM
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    log = parser.add_mutually_exclusive_group(required=True)
    log.add_argument("--events", type=Path, help="a log in the layout of REES46 (CSV)")
    log.add_argument("--generate", type=int, metavar="N", help="make a synthetic log of so many events")
    parser.add_argument(
        "--generators", default="als,covisitation,popularity", help="which Vitrine learns (%(default)s)"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="vitrine-train-") as scratch:
        folder = Path(scratch)
        events = arguments.events or folder / "shop.synthetic.csv"
        if arguments.generate:
            program = str(Path(sys.executable).with_name("vitrine"))
            timed([program, "generate", "--events", str(arguments.generate), "--output", str(events)])
        ours, result = vitrine(events, folder / "vitrine", arguments.generators)
        peer = Path(__file__).with_name("peer.py")
        theirs = timed([sys.executable, str(peer), "--events", str(events), "--output", str(folder / "peer")])
    report(ours, result, theirs)


def report(ours: Ran, result: RunResult, theirs: Ran) -> None:
    """The table by stage, and the closing line."""
    other = json.loads(theirs.last_line)
    own = {stage.stage: stage.seconds for stage in result.stages}
    stages = {
        name: {
            "vitrine": round(sum(own.get(stage, 0.0) for stage in mine), 1),
            "peer": round(sum(other["stages"].get(stage, 0.0) for stage in yours), 1),
        }
        for name, mine, yours in ALIKE
    }
    print(f"{'stage':<30}{'Vitrine s':>12}{'peer s':>10}{'ratio':>8}")
    for name, took in stages.items():
        ratio = f"{took['vitrine'] / took['peer']:.1f}" if took["peer"] else ""
        print(f"{name:<30}{took['vitrine']:>12.1f}{took['peer']:>10.1f}{ratio:>8}")
    first = [stages[name] for name, *_ in ALIKE[:UP_TO_SEGMENTS]]
    print(f"{'whole process':<30}{ours.seconds:>12.1f}{theirs.seconds:>10.1f}{ours.seconds / theirs.seconds:>8.2f}")
    print(f"{'peak memory, MB':<30}{ours.peak_mb:>12,}{theirs.peak_mb:>10,}")
    kept = {name: metrics for name, metrics in quality(result).items() if name in (BLEND, MOST_POPULAR)}
    closing = {
        "ratio": round(ours.seconds / theirs.seconds, 2),
        "vitrine_s": ours.seconds,
        "peer_s": theirs.seconds,
        "peak_mb": ours.peak_mb,
        "peer_peak_mb": theirs.peak_mb,
        "up_to_segments_ratio": round(sum(s["vitrine"] for s in first) / max(sum(s["peer"] for s in first), 0.1), 1),
        "stages": stages,
        "synthetic": result.synthetic,
        "quality": {
            "vitrine": {name: kept[name] for name in (BLEND, MOST_POPULAR) if name in kept},
            "peer": other["quality"],
        },
    }
    print(json.dumps(closing))


if __name__ == "__main__":
    main()
