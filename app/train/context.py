"""What all stages of a run share: session, settings, clock, progress, and where they write."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from app.core.files import WORK
from app.core.folders import Output
from app.core.progress import Progress
from app.core.settings import Settings

STAMP_FORMAT = "%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Run:
    """One run; `now` is its start in UTC, from which its tables and its bundle take their names."""

    spark: SparkSession
    settings: Settings
    progress: Progress
    now: datetime
    output: Output

    @classmethod
    def start(
        cls, spark: SparkSession, settings: Settings, now: datetime, stages: int, say: Callable[[str], Any]
    ) -> "Run":
        """A run of so many stages.

        Raises
        ------
        InputError
            The output folder can't be written to.
        """
        output = Output(settings.output.absolute())
        output.prepare()
        return cls(spark, settings, Progress(stages, say), now, output)

    @property
    def stamp(self) -> str:
        return self.now.strftime(STAMP_FORMAT)

    @property
    def scratch(self) -> Path:
        """Tables that are gone when the run ends."""
        return self.output.root / f"{WORK}{self.stamp}"
