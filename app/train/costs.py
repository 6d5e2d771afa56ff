"""What each generator costs: seconds of learning, and room in memory when it serves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Costs:
    """Of the generators that were learned within `of`; `clock` gives seconds."""

    clock: Callable[[], float]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Takes the time of what is done inside."""
        begun = self.clock()
        yield
        self.seconds[name] = self.clock() - begun

    def note(self, generators: Path) -> str:
        """In words; a generator's arrays, in its folder of a bundle, are mapped into memory as they lie there."""
        sizes = {name: sum(file.stat().st_size for file in (generators / name).iterdir()) for name in self.seconds}
        return ", ".join(f"{name} {took:.1f} s {sizes[name] / 1e6:,.0f} MB" for name, took in self.seconds.items())
