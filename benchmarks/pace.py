"""A log with times of another pace: for benchmarks, which play it at a rate of their own."""

from datetime import datetime, timedelta
from pathlib import Path


def at_pace(log: Path, rate: float) -> Path:
    """The log with its events `rate` a second, from its first on; beside it."""
    target = log.with_name("paced.synthetic.csv")
    with log.open() as source, target.open("w") as paced:
        paced.write(source.readline())
        first: datetime | None = None
        for number, line in enumerate(source):
            first = first or datetime.fromisoformat(line[:19])
            paced.write(f"{first + timedelta(seconds=int(number / rate))} UTC{line[23:]}")
    return target
