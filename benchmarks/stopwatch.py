"""Seconds of each stage of a baseline, told on standard error as they pass."""

import sys
import time


class Stopwatch:
    """Seconds of each stage, in the order in which they ended."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._lapped = time.monotonic()

    def lap(self, name: str) -> None:
        """What has passed since the last lap was the stage of this name."""
        now = time.monotonic()
        self.stages[name] = round(now - self._lapped, 1)
        self._lapped = now
        print(f"  {name}: {self.stages[name]:.1f} s", file=sys.stderr)

    @property
    def seconds(self) -> float:
        """All stages together."""
        return round(sum(self.stages.values()), 1)
