"""Segments: the brief's names, and names and ids that stay put from one retrain to the next."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from app.insight.segments import (
    ACTIVE,
    CASUAL,
    DORMANT,
    FEATURES,
    LOYAL,
    VIP,
    SegmentModel,
    assign_segments,
    distinct_names,
    fit_segments,
    segment_name,
    stable_name,
)
from tests.handmade import by_key


def means(recency: float, frequency: float, monetary: float, conversion: float = 0.0) -> dict[str, float]:
    return {"recency": recency, "frequency": frequency, "monetary": monetary, "conversion_rate": conversion}


@pytest.mark.parametrize(
    ("cluster", "name"),
    [
        # monetary > 500 and frequency > 10 and recency < 30
        (means(29, 11, 501), VIP),
        (means(30, 11, 501), LOYAL),
        (means(29, 10, 501), LOYAL),
        (means(29, 11, 500), LOYAL),
        # else frequency > 5 and recency < 60
        (means(59, 6, 0), LOYAL),
        (means(60, 6, 0), CASUAL),
        (means(59, 5, 0), CASUAL),
        # else recency < 30 and conversion > 0.1
        (means(29, 1, 0, 0.11), ACTIVE),
        (means(30, 1, 0, 0.11), CASUAL),
        (means(29, 1, 0, 0.10), CASUAL),
        (means(29, 6, 0, 0.11), LOYAL),
        # else recency > 60 and frequency < 3
        (means(61, 2, 0), DORMANT),
        (means(60, 2, 0), CASUAL),
        (means(61, 3, 0), CASUAL),
        (means(61, 2, 9999, 0.9), DORMANT),
        (means(31, 1, 0), CASUAL),
    ],
)
def test_names_by_the_briefs_thresholds(cluster: dict[str, float], name: str) -> None:
    """The brief, `_assign_segment_names`: every comparison is strict."""
    assert segment_name(cluster) == name


@pytest.mark.parametrize(
    ("previous", "cluster", "name"),
    [
        (VIP, means(20, 20, 430), VIP),  # 500 less 15 % is 425
        (VIP, means(20, 20, 420), LOYAL),
        (VIP, means(34, 11, 600), VIP),  # 30 and 15 % is 34.5
        (VIP, means(35, 11, 600), LOYAL),
        (LOYAL, means(20, 4.3, 0), LOYAL),  # 5 less 15 % is 4.25
        (LOYAL, means(20, 4.2, 0), CASUAL),
        (LOYAL, means(20, 11, 510), LOYAL),  # a VIP only just
        (LOYAL, means(20, 20, 5000), VIP),  # a VIP beyond doubt
        (ACTIVE, means(20, 5.5, 0, 0.2), ACTIVE),
        (ACTIVE, means(20, 6, 0, 0.2), LOYAL),
        (ACTIVE, means(20, 20, 5000, 0.2), VIP),
        (ACTIVE, means(20, 1, 0, 0.09), ACTIVE),
        (ACTIVE, means(20, 1, 0, 0.08), CASUAL),
        (DORMANT, means(52, 3.4, 0), DORMANT),
        (DORMANT, means(50, 2, 0), CASUAL),
        (CASUAL, means(65, 2, 0), CASUAL),
        (CASUAL, means(90, 2, 0), DORMANT),
        (CASUAL, means(25, 1, 0, 0.11), CASUAL),
        (CASUAL, means(25, 1, 0, 0.12), ACTIVE),
    ],
)
def test_a_name_stays_until_the_means_are_clearly_past_a_threshold(
    previous: str, cluster: dict[str, float], name: str
) -> None:
    assert stable_name(cluster, previous) == name


@pytest.mark.parametrize("previous", [VIP, LOYAL, ACTIVE, DORMANT, CASUAL])
def test_names_do_not_flip_back_and_forth(previous: str) -> None:
    wild = random.Random(1)
    for _ in range(2000):
        cluster = means(wild.uniform(0, 90), wild.uniform(0, 15), wild.uniform(0, 1000), wild.uniform(0, 0.2))
        name = stable_name(cluster, previous)
        assert stable_name(cluster, name) == name


@pytest.mark.parametrize(
    ("names", "previous", "expected"),
    [
        ([CASUAL, VIP, CASUAL, CASUAL], [], [CASUAL, VIP, f"{CASUAL}_2", f"{CASUAL}_3"]),
        # The first casual segment has turned loyal: the others keep their numbers.
        ([LOYAL, CASUAL, CASUAL], [CASUAL, f"{CASUAL}_2", f"{CASUAL}_3"], [LOYAL, f"{CASUAL}_2", f"{CASUAL}_3"]),
        # One more has turned casual: it takes the free number.
        ([CASUAL, CASUAL, CASUAL], [VIP, CASUAL, f"{CASUAL}_3"], [f"{CASUAL}_2", CASUAL, f"{CASUAL}_3"]),
    ],
)
def test_segments_of_one_name_are_told_apart(names: list[str], previous: list[str], expected: list[str]) -> None:
    assert distinct_names(names, previous) == expected


#: a typical user of each group: recency, frequency, monetary, conversion, abandonment, products, categories, price
GROUPS = {
    "buyers": (2, 15, 900, 0.2, 0.1, 40, 9, 200),
    "lookers": (5, 2, 0, 0.0, 0.9, 12, 4, 60),
    "sleepers": (80, 1, 0, 0.0, 0.0, 1, 1, 15),
}
USER_COLUMNS = ", ".join(["user_id long", *(f"{name} double" for name in (*FEATURES, "views", "purchases"))])
SIZES = {"buyers": 30, "lookers": 60, "sleepers": 90}


def users(spark: SparkSession, seed: int, richest: float | None = None) -> tuple[DataFrame, dict[int, str]]:
    """Users of three groups in no order, and the group of each."""
    wild = random.Random(seed)
    groups = [name for name, size in SIZES.items() for _ in range(size)]
    wild.shuffle(groups)
    rows = []
    for number, name in enumerate(groups):
        row = dict(zip(FEATURES, (value * wild.uniform(0.9, 1.1) for value in GROUPS[name]), strict=True))
        views = 10 * row["unique_products"]
        rows.append((number, *row.values(), views, views * row["conversion_rate"]))
    if richest:
        rows[0] = (*rows[0][:3], richest, *rows[0][4:])
    return spark.createDataFrame(rows, USER_COLUMNS), dict(enumerate(groups))


def groups_of(frame: DataFrame, model: SegmentModel, groups: dict[int, str]) -> dict[int, Counter[str]]:
    """The users' groups by segment id."""
    found: dict[int, Counter[str]] = {}
    for user, row in by_key(assign_segments(frame, model), "user_id").items():
        found.setdefault(row["segment_id"], Counter())[groups[user]] += 1
        assert row["segment"] == model.names[row["segment_id"]]
    return found


@pytest.fixture(scope="module")
def first(spark: SparkSession) -> tuple[SegmentModel, dict[int, Counter[str]]]:
    frame, groups = users(spark, seed=1, richest=1e9)
    model = fit_segments(frame, k=3, seed=42)
    return model, groups_of(frame, model, groups)


def test_groups_are_found_in_spite_of_an_outlier(first: tuple[SegmentModel, dict[int, Counter[str]]]) -> None:
    """K-Means on raw money puts the one with a billion into a cluster of its own (design §8)."""
    model, found = first
    assert sorted(found.values(), key=str) == sorted((Counter({name: size}) for name, size in SIZES.items()), key=str)
    assert model.silhouette is not None
    assert model.silhouette > 0.8


def test_table_shows_means_in_original_units(first: tuple[SegmentModel, dict[int, Counter[str]]]) -> None:
    model, found = first
    table = {row["segment_id"]: row for row in model.table}
    sleepers = next(number for number, groups in found.items() if "sleepers" in groups)
    assert (table[sleepers]["users"], table[sleepers]["share"]) == (90, 0.5)
    assert table[sleepers]["recency"] == pytest.approx(80, rel=0.05)
    assert table[sleepers]["segment"] == DORMANT
    assert sum(row["users"] for row in model.table) == 180


def test_ids_and_names_stay_after_a_retrain(
    spark: SparkSession, first: tuple[SegmentModel, dict[int, Counter[str]]]
) -> None:
    model, found = first
    frame, groups = users(spark, seed=2)
    # The old model with its ids turned round: a retrain that ignored it could not hit these by chance.
    turn = [2, 0, 1]
    previous = replace(
        model, centroids=[model.centroids[number] for number in turn], names=[model.names[number] for number in turn]
    )
    again = fit_segments(frame, k=3, seed=42, previous=previous)
    retrained = groups_of(frame, again, groups)
    assert {number: set(group) for number, group in retrained.items()} == {
        turn.index(number): set(group) for number, group in found.items()
    }
    assert again.names == previous.names


@pytest.mark.parametrize(
    ("first", "second", "segments"), [("buyers", None, 1), ("buyers", "buyers", 1), ("buyers", "sleepers", 2)]
)
def test_fewer_users_than_segments(spark: SparkSession, first: str, second: str | None, segments: int) -> None:
    """Spark's K-Means fails on these with an ArrayIndexOutOfBoundsException."""
    rows = [(number, *map(float, GROUPS[name]), 10.0, 1.0) for number, name in enumerate((first, second)) if name]
    frame = spark.createDataFrame(rows, USER_COLUMNS)
    model = fit_segments(frame, k=5, seed=42)
    assert len(model.names) == segments
    assert len({row["segment_id"] for row in assign_segments(frame, model).collect()}) == segments


def test_model_survives_json(first: tuple[SegmentModel, Any]) -> None:
    import json

    model, _ = first
    assert SegmentModel(**json.loads(json.dumps(model.to_dict()))) == model
