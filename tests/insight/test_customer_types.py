"""Segments against what customers are: the synthetic shop's types are found, and names stay from month to month.

Synthetic data: how well a real shop's customers are found nobody knows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import adjusted_rand_score

from app.core.duck import Connection
from app.core.parts import read_table
from app.core.settings import Settings
from app.events.ingest import ingest
from app.features.slices import Slice, make_slice
from app.insight.segments import Segmented, assigned, fit_segments
from app.synthetic import generate
from app.synthetic.shop import START

EVENTS, MONTH = 300_000, 31
pytestmark = pytest.mark.slow(seconds=14)


def named(found: Segmented) -> pd.Series:
    """The name of each user's segment."""
    table = pd.read_parquet(found.users).set_index("user_id")["segment_id"]
    return table.map(dict(enumerate(found.model.names)))


def cleaned(spark: SparkSession, log: Path, folder: Path, days: float | None = None) -> Path:
    settings = Settings(events=str(log), output=folder, training_days=days)
    return ingest(spark, settings, str(log), folder, "20260101_000000", datetime(2026, 1, 1)).cleaned


def sliced(spark: SparkSession, events: Path, folder: Path, cut: datetime | None = None) -> Slice:
    return make_slice(spark, events, None, cut, Settings(output=folder), folder)


@pytest.mark.parametrize("seed", [5, 6])
def test_segments_find_the_types_of_customers(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    shop = generate(tmp_path / "shop.csv", EVENTS, seed)
    users = sliced(spark, cleaned(spark, shop.path, tmp_path), tmp_path / "slice").folder / "users"
    names = named(fit_segments(spark, users, Settings().segment_count, Settings().seed, tmp_path / "segments"))
    types = pd.read_csv(shop.customers).set_index("user_id")["type"]
    index = adjusted_rand_score(types[names.index], names)
    print(f"synthetic, types of customers against five segments: adjusted Rand index {index:.3f}")
    assert index >= 0.5


@dataclass(frozen=True)
class Months:
    """A shop's first month, both months, and the later one alone, as trainings that know the first one's model."""

    first: Segmented
    both: Segmented
    later: Segmented
    later_users: Path


@pytest.fixture(scope="module")
def months(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Months:
    folder = tmp_path_factory.mktemp("months")
    log = generate(folder / "shop.csv", EVENTS, 5, days=2 * MONTH).path
    border = datetime(START.year, START.month, START.day) + timedelta(days=MONTH)
    events = cleaned(spark, log, folder)
    slices = {
        "first": sliced(spark, events, folder / "first", border),
        "both": sliced(spark, events, folder / "both"),
        "later": sliced(spark, cleaned(spark, log, folder / "alone", MONTH), folder / "later"),
    }
    first = fit_segments(spark, slices["first"].folder / "users", 5, 42, folder / "segments")
    both, later = (
        fit_segments(spark, slices[name].folder / "users", 5, 42, folder / f"{name}_segments", first.model)
        for name in ("both", "later")
    )
    return Months(first, both, later, slices["later"].folder / "users")


def test_names_stay_when_a_month_more_is_trained_on(months: Months) -> None:
    """No customer changes type: all of the first month stayed what they were."""
    before, now = named(months.first), named(months.both)
    same = (now[before.index] == before).mean()
    print(f"synthetic, users of the first month whose segment's name is the same after the second: {same:.1%}")
    assert same >= 0.8


def test_who_behaves_as_before_has_the_name_of_before(months: Months, duck: Connection) -> None:
    """Trained on a later month alone: of those whom the first model would put into the segment where they were."""
    judged = assigned(read_table(duck, months.later_users), months.first.model).df().set_index("user_id")["segment_id"]
    before, now = named(months.first), named(months.later)
    both = before.index.intersection(now.index)
    stayed = both[(judged[both].map(dict(enumerate(months.first.model.names))) == before[both])]
    same = (now[stayed] == before[stayed]).mean()
    print(
        f"synthetic, of {len(both)} users seen in both months {len(stayed)} stayed, and {same:.1%} of these kept the "
        f"name; of all {(now[both] == before[both]).mean():.1%}"
    )
    assert len(stayed) > 0.3 * len(both)
    assert same >= 0.8
