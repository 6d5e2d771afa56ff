"""A small synthetic shop that is trained on, with what the first edition made of it."""

import csv
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from pyspark.sql import SparkSession

from app.core.settings import Settings
from app.results.run import RunResult
from app.train import run as run_module
from app.train.run import train

GOLDEN = Path(__file__).parents[1] / "golden" / "edition_1"
EVENTS = 24_000  #: of the golden log
NOW = datetime(2019, 11, 1, 8, tzinfo=UTC)
#: What the golden lists were made with.
FIRST_EDITION: dict[str, Any] = {
    "generators": "als,covisitation,popularity",
    "blend_weights": {"als": 1.0, "covisitation": 3.0, "popularity": 0.5},
    "blend_offset": 60.0,
    "ranker": "reciprocal_rank",
    "als_alpha": 1.0,
    "profiles": {"impulsive_minutes": 10, "abandoned_carts": 2, "regular_days": 3},
}
#: Settings with which the models cannot have learned anything.
BROKEN: dict[str, Any] = {"generators": "popularity", "blend_weights": {"popularity": 1.0}}


class Shop:
    """One output folder, trained into again and again, an hour apart."""

    def __init__(self, spark: SparkSession, output: Path, runs: int = 0):
        self.spark, self.output, self.runs = spark, output, runs
        self.aside = output.with_name("aside")  #: a copy of it after the first training
        self.models = output / "models"
        self.said: list[str] = []

    def train(self, events: Path | None, drawn: bool = False, **changes: Any) -> RunResult:
        """Train; without the report, which takes a fifth of it, unless it is looked at."""
        self.runs += 1
        settings = Settings(
            events=str(events) if events else None,
            output=self.output,
            shuffle_partitions=2,
            als_factors=16,
            als_iterations=5,
            bootstrap=100,
            evaluation_queries=3000,
            test_days=2,  # a small shop: two days make enough queries
            **FIRST_EDITION,
        ).model_copy(update=changes)
        with nullcontext() if drawn else patch.multiple(run_module, shop_sections=Mock(), write_report=Mock()):
            return train(self.spark, settings, NOW + timedelta(hours=self.runs), self.said.append)


def lists(output: Path, name: str = "merged_recommendations.csv") -> list[tuple[str, ...]]:
    """The rows of a file of lists but for version and time, in an order of their own."""
    with (output / name).open(newline="") as file:
        return sorted(tuple(row.values())[:-2] for row in csv.DictReader(file))
