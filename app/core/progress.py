"""Progress lines of a run: one per stage, with its duration and rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stage:
    """One stage; fill `rows` and `note` inside the `with` block."""

    stage: str
    seconds: float = 0.0
    rows: int | None = None
    note: str = ""


@dataclass
class Progress:
    """Reports stages as they begin and end.

    `say` gets whole lines; `clock` gives seconds.
    """

    total: int
    say: Callable[[str], Any]
    clock: Callable[[], float] = time.monotonic
    stages: list[Stage] = field(default_factory=list)

    def again(self, stage: Stage) -> None:
        """A stage that an earlier process of the same run has finished."""
        self.stages.append(stage)
        self.say(f"[{len(self.stages):>2}/{self.total}] {stage.stage}: done before, in {stage.seconds:.1f} s")

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        current = Stage(name)
        self.stages.append(current)
        place = f"[{len(self.stages):>2}/{self.total}]"
        self.say(f"{place} {name} …")
        start = self.clock()
        yield current
        current.seconds = round(self.clock() - start, 2)
        rows = f"{current.rows:>12,} rows" if current.rows is not None else " " * 17
        self.say(f"{place} {name:<34}{current.seconds:>7.1f} s {rows}  {current.note}".rstrip())
