"""How seconds, memory and spill of a training grow with the log, by stage, as a table and a picture.

    python benchmarks/scale.py --events 1000000,4000000,16000000,42000000 --peer --output scale

For each size a synthetic log is made and trained on by `vitrine train`, watched from outside, then, with --peer, by
benchmarks/peer.py (DuckDB, scikit-learn, implicit) on the same file. What a size took is kept in the output folder
(`<events>.json`): a size that is there already is not measured again, so that sizes may be measured one by one.
Writes scale.svg there, and closes with one JSON line: `sizes`, a list of {events, seconds, peak_mb, spilled_mb,
us_per_event, peer_s, peer_peak_mb, ratio, stages}.

42 million events need 6 GB of disk for the log and as much for the work, and take about as long as the peer.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from arguments import folder, numbers
from train import baseline, timed
from watched import StageCost, watched

SHOWN = 8  #: stages in the picture; the rest are one


@dataclass(frozen=True)
class Size:
    """A training of so many events, and what the peer took for the same, if it was asked."""

    events: int
    generators: str
    stages: tuple[StageCost, ...]
    peer_s: float | None
    peer_peak_mb: int | None

    @property
    def seconds(self) -> float:
        return round(sum(stage.seconds for stage in self.stages), 1)

    def closing(self) -> dict[str, object]:
        """Its part of the closing line."""
        return asdict(self) | {
            "seconds": self.seconds,
            "peak_mb": max(stage.peak_mb for stage in self.stages),
            "spilled_mb": sum(stage.spilled_mb for stage in self.stages),
            "us_per_event": round(self.seconds / self.events * 1e6, 1),
            "ratio": round(self.seconds / self.peer_s, 2) if self.peer_s else None,
        }


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", type=numbers, default="1000000,4000000,16000000", help="sizes, separated by commas (%(default)s)"
    )
    parser.add_argument(
        "--generators", default="als,covisitation,popularity", help="which Vitrine learns (%(default)s)"
    )
    parser.add_argument("--peer", action="store_true", help="let the peer train on the same files")
    parser.add_argument("--output", type=folder, default="scale", help="folder of what is found (%(default)s)")
    asked = parser.parse_args(words)
    asked.output.mkdir(parents=True, exist_ok=True)
    files = {events: asked.output / f"{events}.json" for events in sorted(asked.events)}
    for kept in files.values():
        if kept.is_file():
            check(kept, asked.generators, asked.peer)
    for events, kept in files.items():
        if not kept.is_file():
            kept.write_text(json.dumps(asdict(measure(events, asked.generators, asked.peer)), indent=1))
    sizes = [read(kept) for kept in files.values()]
    table(sizes)
    draw(sizes, asked.output / "scale.svg")
    print(json.dumps({"synthetic": True, "sizes": [size.closing() for size in sizes]}))


def check(kept: Path, generators: str, peer: bool) -> None:
    """Whether what is kept is what is asked for; ends with a line where it is of other generators."""
    known = read(kept)
    if known.generators != generators:
        sys.exit(f"error: {kept} is of the generators {known.generators}; give another --output, or delete it")
    if peer and known.peer_s is None:
        print(f"{kept} was measured without the peer; delete it to measure both", file=sys.stderr)


def measure(events: int, generators: str, peer: bool) -> Size:
    """Make a log, and train on it."""
    program = str(Path(sys.executable).with_name("vitrine"))
    os.environ["VITRINE_GENERATORS"] = generators
    with TemporaryDirectory(prefix="vitrine-scale-") as made:
        scratch = Path(made)
        log, output = scratch / "shop.synthetic.csv", scratch / "vitrine"
        timed([program, "generate", "--events", str(events), "--output", str(log)])
        stages = watched([program, "train", "--events", str(log), "--output", str(output)], output, scratch / "watched")
        if not peer:
            return Size(events, generators, stages, None, None)
        theirs = baseline("peer", log, scratch)
        return Size(events, generators, stages, theirs.seconds, theirs.peak_mb)


def read(kept: Path) -> Size:
    """What a size took."""
    found = json.loads(kept.read_text())
    return Size(**found | {"stages": tuple(StageCost(**stage) for stage in found["stages"])})


def stage_names(sizes: list[Size]) -> list[str]:
    """Of all stages of any size, in their order."""
    return list(dict.fromkeys(stage.stage for size in sizes for stage in size.stages))


def table(sizes: list[Size]) -> None:
    """A line a stage, a column a size: seconds, and below them peak memory and what was spilled."""
    shown: tuple[tuple[str, Callable[[StageCost], float]], ...] = (
        ("seconds", lambda cost: cost.seconds),
        ("peak MB", lambda cost: cost.peak_mb),
        ("spilled MB", lambda cost: cost.spilled_mb),
    )
    for title, figure in shown:
        print(f"{title:<36}" + "".join(f"{size.events:>14,}" for size in sizes))
        for name in stage_names(sizes):
            cells = [next((figure(cost) for cost in size.stages if cost.stage == name), None) for size in sizes]
            print(f"{name:<36}" + "".join(" " * 14 if cell is None else f"{cell:>14,}" for cell in cells))
        totals = [(max if title == "peak MB" else sum)(figure(cost) for cost in size.stages) for size in sizes]
        print(f"{'all':<36}" + "".join(f"{round(total, 1):>14,}" for total in totals) + "\n")
    for size in sizes:
        beside = f", the peer {size.peer_s:,} s: ratio {size.seconds / size.peer_s:.2f}" if size.peer_s else ""
        print(f"{size.events:>12,} events: {size.seconds / size.events * 1e6:.1f} µs an event{beside}")


def draw(sizes: list[Size], target: Path) -> None:
    """Time an event by stage, and memory, over the size of the log."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (times, memory) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", width_ratios=(2, 1))
    labels = [f"{size.events / 1e6:g} M" for size in sizes]
    spent = {
        name: [sum(c.seconds for c in size.stages if c.stage == name) / size.events * 1e6 for size in sizes]
        for name in stage_names(sizes)
    }
    longest = sorted(spent, key=lambda name: -max(spent[name]))[:SHOWN]
    parts = {name: spent[name] for name in spent if name in longest}
    rest = [spent[name] for name in spent if name not in longest]
    parts["all others"] = [sum(column) for column in zip(*rest, strict=True)] if rest else [0.0] * len(sizes)
    base = [0.0] * len(sizes)
    for place, (name, heights) in enumerate(parts.items()):
        times.bar(labels, heights, 0.6, base, label=name, color=plt.get_cmap("tab10")(place))
        base = [low + height for low, height in zip(base, heights, strict=True)]
    theirs = [
        (label, size.peer_s / size.events * 1e6) for label, size in zip(labels, sizes, strict=True) if size.peer_s
    ]
    if theirs:
        times.plot(*zip(*theirs, strict=True), "kD", label="the peer, all")
    times.set(xlabel="events (synthetic shop)", ylabel="microseconds an event")
    handles, names = times.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], frameon=False, fontsize=8, loc="outside right upper")
    peaks = [max(cost.peak_mb for cost in size.stages) / 1024 for size in sizes]
    memory.bar(labels, peaks, 0.6, color="tab:gray")
    memory.set(xlabel="events", ylabel="peak memory of all processes, GB")
    figure.savefig(target)


if __name__ == "__main__":
    main()
