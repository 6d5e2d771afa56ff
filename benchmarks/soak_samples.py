"""What is measured of a soak while it runs, and its picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

import matplotlib
from prometheus_client.parser import text_string_to_metric_families

matplotlib.use("agg")
import matplotlib.pyplot as plt

Sample = Mapping[str, float | None]
PARTS = {
    "events": "events since the start",
    "p95_s": "freshness p95, s",
    "memory_mb": "memory, MB",
    "state_rows": "sessions in state",
    "files": "files of the stream",
    "folders": "folders of the archive\nthat count",
}


def metrics(port: int) -> dict[str, float]:
    """All samples of the driver's metrics that have no labels but a bucket's bound."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        sample.name + (f" {sample.labels['le']}" if "le" in sample.labels else ""): sample.value
        for sample in samples
        if set(sample.labels) <= {"le"}
    }


def p95(before: dict[str, float], now: dict[str, float]) -> float | None:
    """Upper bound of the 95th percentile of freshness since the sample before."""
    prefix = "vitrine_stream_freshness_seconds_bucket "
    counts = {
        float(name.removeprefix(prefix)): value - before.get(name, 0.0)
        for name, value in now.items()
        if name.startswith(prefix)
    }
    total = max(counts.values(), default=0.0)
    return next((bound for bound in sorted(counts) if total > 0 and counts[bound] >= 0.95 * total), None)


def draw(samples: Sequence[Sample], happened: Mapping[str, float], target: Path) -> None:
    """Memory, state, files and freshness over time, with the faults."""
    figure, rows = plt.subplots(len(PARTS), 1, figsize=(9, 13), sharex=True, layout="constrained")
    for axes, (name, label) in zip(rows, PARTS.items(), strict=True):
        told = [(second / 60, row[name]) for row in samples if (second := row["second"]) and row.get(name) is not None]
        axes.plot(*zip(*told, strict=True), ".-", markersize=3)
        axes.set(ylabel=label, ylim=(0, None))
        axes.grid(alpha=0.3)
        for fault, second in happened.items():
            axes.axvline(second / 60, color="grey", linestyle=":")
            if axes is rows[0]:
                axes.text(second / 60, axes.get_ylim()[1], f" {fault}", va="top", fontsize=8)
    rows[-1].set(xlabel="minutes (synthetic shop)")
    figure.savefig(target)
