"""Rate against freshness, up to where the stream no longer keeps up, as a table and a picture.

    python benchmarks/rates.py --rates 500,1000,2000,3000,4000 --output rates

Runs benchmarks/freshness.py at each rate, one after the other on one bundle, and writes rates.json and
rates.svg into the output folder. A rate is kept up with if what waits does not grow by more than half a second's
events over the measurement, and if the stream, when the replay ends, has taken in all but the latest three seconds of
what should have come by then.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BEHIND = 3.0  #: seconds, in all: more than a file and a micro-batch take
GREW = 0.5  #: seconds' worth, a file's: a stream that takes in 1 % less than comes grows by 0.6 s in 90 s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="500,1000,2000,3000,4000", help="events a second, separated by commas")
    parser.add_argument("--seconds", type=float, default=90, help="length of each measurement")
    parser.add_argument("--warmup", type=float, default=40, help="seconds left out before each")
    parser.add_argument("--output", type=Path, default=Path("rates"), help="work folder")
    asked = parser.parse_args()
    rows = []
    for rate in map(float, asked.rates.split(",")):
        rows.append(measure(rate, asked))
        print(line(rows[-1]), flush=True)
        if not rows[-1]["keeps_up"]:
            break
    (asked.output / "rates.json").write_text(json.dumps({"synthetic": True, "rates": rows}, indent=1))
    draw(rows, asked.output / "rates.svg")
    print(json.dumps({"synthetic": True, "rates": rows, "picture": str(asked.output / "rates.svg")}))
    return 0


def measure(rate: float, asked: argparse.Namespace) -> dict[str, Any]:
    """One run of the benchmark, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("freshness.py")), "--rate", str(rate)]
    command += [
        "--seconds",
        str(asked.seconds),
        "--warmup",
        str(asked.warmup),
        "--output",
        str(asked.output),
        "--floor",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    wanted = (
        *("rate", "events_per_s", "p50_s", "p95_s", "floor_p50_s", "floor_p95_s", "ratio"),
        *("waiting", "waiting_grew", "replay_late_s"),
    )
    return {name: found[name] for name in wanted} | {"keeps_up": keeps_up(found)}


def keeps_up(found: dict[str, Any]) -> bool:
    """Whether no more waited the longer it lasted, and little at the end of a replay that kept its pace itself."""
    behind: float = found["waiting"] / found["rate"] + found["replay_late_s"]
    grew: float = found["waiting_grew"] / found["rate"]
    return grew <= GREW and behind <= BEHIND


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['rate']:>6,.0f} events/s: p50 {row['p50_s']} s, p95 {row['p95_s']} s, floor p95 {row['floor_p95_s']} s, "
        f"ratio {row['ratio']}, {row['waiting']:,} events wait, {row['waiting_grew']:+,} in the time"
        f"{'' if row['keeps_up'] else ', does not keep up'}"
    )


def draw(rows: list[dict[str, Any]], target: Path) -> None:
    """Freshness of stream and floor over the rate."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    rates = [row["rate"] for row in rows]
    for name, label, style in (
        ("p95_s", "stream, p95", "o-"),
        ("p50_s", "stream, p50", "o--"),
        ("floor_p95_s", "floor, p95", "s-"),
        ("floor_p50_s", "floor, p50", "s--"),
    ):
        axes.plot(rates, [row[name] for row in rows], style, label=label)
    axes.set(xlabel="events a second (synthetic shop)", ylabel="seconds from a file's arrival", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(target)


if __name__ == "__main__":
    sys.exit(main())
