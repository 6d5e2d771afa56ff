"""Training against what a user would pick instead, on the same file, in turn, on the same cores.

    python benchmarks/train.py --generate 4000000
    python benchmarks/train.py --events shop.csv --generators als,covisitation,popularity
    python benchmarks/train.py --generate 250000 --brief

Runs `vitrine train`, `benchmarks/peer.py` (DuckDB, scikit-learn, implicit), and `benchmarks/floor.py` (Spark alone: the
text read, shuffled by user, written), each as a process of its own, prints a table by stage, and ends with one JSON
line: `ratio`, `vitrine_s`, `peer_s` and `floor_s` (whole processes), `peak_mb` and `peer_peak_mb` (all their
processes), `up_to_segments_ratio`, `stages`, and HR@10 and NDCG@10 of both on the last day's users who were seen before
it. With --brief `benchmarks/brief.py` follows, the brief's pipeline as printed: `brief_s`, `brief_ratio` (Vitrine's
seconds by the brief's), `brief_peak_mb`. It learns once, and needs a smaller log. Figures of a generated log say
nothing about a real shop's recommendations.
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
from typing import NamedTuple

from arguments import file, number
from memory import EVERY, tree_bytes

from app.core.folders import Output
from app.evaluate.names import BLEND, HR_10, MOST_POPULAR, NDCG_10, USER, WARM
from app.results.files import read_run
from app.results.run import RunResult


class Alike(NamedTuple):
    """Stages that do the same work."""

    name: str
    vitrine: tuple[str, ...]
    peer: tuple[str, ...]
    brief: tuple[str, ...]


ALIKE = (
    Alike("clean", ("clean",), ("clean",), ("clean",)),
    Alike("explore", ("explore",), ("explore",), ("explore",)),
    Alike(
        "pairs and features",
        ("user and product features", "features before the test slice"),
        ("pairs", "features"),
        ("features", "index"),
    ),
    Alike("segments", ("segments and profiles",), ("segments",), ("segments",)),
    Alike(
        "train before the test slice",
        ("train before the test slice",),
        ("train before the test slice",),
        ("train",),
    ),
    Alike("evaluate", ("evaluate",), ("evaluate",), ("evaluate",)),
    Alike("train on everything", ("train on everything and publish",), ("train on everything",), ()),
    Alike("lists", ("lists for active users",), ("lists",), ("lists",)),
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


def baseline(name: str, events: Path, folder: Path) -> Ran:
    """What is compared with: a program beside this one."""
    program = str(Path(__file__).with_name(f"{name}.py"))
    return timed([sys.executable, program, "--events", str(events), "--output", str(folder / name)])


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
    log.add_argument("--events", type=file, help="a log in the layout of REES46 (CSV)")
    log.add_argument("--generate", type=number, metavar="N", help="make a synthetic log of so many events")
    parser.add_argument(
        "--generators", default="als,covisitation,popularity", help="which Vitrine learns (%(default)s)"
    )
    parser.add_argument("--brief", action="store_true", help="run the brief's pipeline too, after the peer")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="vitrine-train-") as scratch:
        folder = Path(scratch)
        events = arguments.events or folder / "shop.synthetic.csv"
        if arguments.generate:
            program = str(Path(sys.executable).with_name("vitrine"))
            timed([program, "generate", "--events", str(arguments.generate), "--output", str(events)])
        ours, result = vitrine(events, folder / "vitrine", arguments.generators)
        peer = baseline("peer", events, folder)
        floor = baseline("floor", events, folder)
        brief = baseline("brief", events, folder) if arguments.brief else None
    report(ours, result, peer, floor, brief)


def by_stage(result: RunResult, others: dict[str, Ran]) -> dict[str, dict[str, float]]:
    """Seconds of each of `ALIKE`, by who took them."""
    took = {name: json.loads(ran.last_line)["stages"] for name, ran in others.items()}
    took = {"vitrine": {stage.stage: stage.seconds for stage in result.stages}} | took
    return {
        alike.name: {
            name: round(sum(seconds.get(stage, 0.0) for stage in getattr(alike, name)), 1)
            for name, seconds in took.items()
        }
        for alike in ALIKE
    }


def line(name: str, ours: float, others: list[float], form: str = ".1f") -> str:
    """A line of the table: seconds or megabytes, and for each baseline Vitrine's part of it."""
    beside = (f"{other:>12{form}}{f'{ours / other:.2f}' if other else '':>8}" for other in others)
    return f"{name:<30}{ours:>12{form}}{''.join(beside)}"


def report(ours: Ran, result: RunResult, peer: Ran, floor: Ran, brief: Ran | None = None) -> None:
    """The table by stage, and the closing line."""
    others = {"peer": peer} | ({"brief": brief} if brief else {})
    stages = by_stage(result, others)
    print(f"{'stage':<30}{'Vitrine s':>12}" + "".join(f"{f'{name} s':>12}{'ratio':>8}" for name in others))
    for name, took in stages.items():
        print(line(name, took["vitrine"], [took[other] for other in others]))
    print(line("whole process", ours.seconds, [ran.seconds for ran in others.values()]))
    print(line("peak memory, MB", ours.peak_mb, [ran.peak_mb for ran in others.values()], ","))
    print(f"{'Spark alone: read, shuffled by user, written':<45}{floor.seconds:.1f} s")
    first = [stages[alike.name] for alike in ALIKE[:UP_TO_SEGMENTS]]
    kept = {name: metrics for name, metrics in quality(result).items() if name in (BLEND, MOST_POPULAR)}
    closing = {
        "ratio": round(ours.seconds / peer.seconds, 2),
        "vitrine_s": ours.seconds,
        "peer_s": peer.seconds,
        "peak_mb": ours.peak_mb,
        "peer_peak_mb": peer.peak_mb,
        "up_to_segments_ratio": round(sum(s["vitrine"] for s in first) / max(sum(s["peer"] for s in first), 0.1), 1),
        "floor_s": floor.seconds,
        "stages": stages,
        "synthetic": result.synthetic,
        "quality": {
            "vitrine": {name: kept[name] for name in (BLEND, MOST_POPULAR) if name in kept},
            "peer": json.loads(peer.last_line)["quality"],
        },
    }
    if brief:
        closing |= {
            "brief_ratio": round(ours.seconds / brief.seconds, 2),
            "brief_s": brief.seconds,
            "brief_peak_mb": brief.peak_mb,
        }
    print(json.dumps(closing))


if __name__ == "__main__":
    main()
