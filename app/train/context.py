"""What all stages of a run share: session, settings, clock, progress, and where they write."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from app.core.files import WORK
from app.core.folders import STAMP_FORMAT, Output
from app.core.progress import Progress
from app.core.settings import Settings
from app.core.worker_heap import settle
from app.train.resume import Finished


@dataclass(frozen=True)
class Run:
    """One run; `now` is its start in UTC, from which its tables and its bundle take their names."""

    spark: SparkSession
    settings: Settings
    progress: Progress
    now: datetime
    output: Output
    finished: Finished

    @classmethod
    def start(
        cls,
        spark: SparkSession,
        settings: Settings,
        now: datetime,
        stages: int,
        say: Callable[[str], Any],
        check: Callable[[], object] = lambda: None,
    ) -> "Run":
        """A run of so many stages; `check` raises once another one has taken over.

        Raises
        ------
        InputError
            The output folder can't be written to.
        """
        output = Output(settings.output.absolute())
        output.prepare()
        settle()  # what is imported by now; the report's garbage would have it looked through again and again
        progress = Progress(stages, say)
        scratch = output.root / f"{WORK}{now.strftime(STAMP_FORMAT)}"
        return cls(spark, settings, progress, now, output, Finished(scratch, spark, progress, check))

    @property
    def stamp(self) -> str:
        return self.now.strftime(STAMP_FORMAT)

    def tables(self, *prefixes: str) -> list[Path]:
        """Where the processed tables of these prefixes are, or will be."""
        return [self.output.processed / f"{prefix}{self.stamp}" for prefix in prefixes]

    @property
    def scratch(self) -> Path:
        """Tables that are gone when the run ends."""
        return self.finished.folder
