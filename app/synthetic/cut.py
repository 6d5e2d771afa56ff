"""A log cut in two: what is trained on, and what is played afterwards."""

from pathlib import Path


def cut_in_two(log: Path, events: int, past: Path, future: Path) -> None:
    """Write the first events of a CSV log and the others as two logs, and delete it."""
    with log.open() as source, past.open("w") as first, future.open("w") as second:
        header = source.readline()
        first.write(header)
        second.write(header)
        for number, line in enumerate(source):
            (first if number < events else second).write(line)
    log.unlink()
