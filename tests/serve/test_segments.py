"""Segments' names, which stay put from one training to the next, and the model on disk. No Spark is needed."""

import json
import random
from pathlib import Path

import pytest

from app.serve.segments import (
    ACTIVE,
    CASUAL,
    DORMANT,
    FEATURES,
    FILE,
    LOYAL,
    VIP,
    Means,
    SegmentModel,
    distinct_names,
    segment_name,
    segment_names,
    stable_name,
)


def means(recency: float, frequency: float, monetary: float, conversion: float = 0.0) -> Means:
    """Of a cluster, as far as names depend on them."""
    others = dict.fromkeys(set(FEATURES) - {"recency", "frequency", "monetary", "conversion_rate"}, 0.0)
    return Means(recency=recency, frequency=frequency, monetary=monetary, conversion_rate=conversion, **others)


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
def test_names_by_thresholds(cluster: Means, name: str) -> None:
    """Every comparison is strict."""
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
def test_a_name_stays_until_the_means_are_clearly_past_a_threshold(previous: str, cluster: Means, name: str) -> None:
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


def test_names_of_all_segments() -> None:
    loyal, casual, vip = means(20, 6, 0), means(20, 1, 0), means(20, 20, 5000)
    assert segment_names([casual, loyal, casual], []) == [CASUAL, LOYAL, f"{CASUAL}_2"]
    # An empty segment keeps its name; one that has none is casual.
    assert segment_names([vip, None, casual], [VIP, DORMANT, f"{CASUAL}_2"]) == [VIP, DORMANT, f"{CASUAL}_2"]
    assert segment_names([None], []) == [CASUAL]


MODEL = SegmentModel([9.0, 1.0], [0.5, 0.1], [1.0, 2.0], [[0.1, 0.2], [0.3, 0.4]], [VIP, CASUAL], 0.02, 0.4)


def test_a_model_is_opened_as_it_was_saved(tmp_path: Path) -> None:
    MODEL.save(tmp_path)
    assert SegmentModel.load(tmp_path) == MODEL


def test_a_table_beside_the_model_is_passed_over(tmp_path: Path) -> None:
    """As bundles of the first edition have it."""
    MODEL.save(tmp_path)
    path = tmp_path / FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"table": [{"users": 3}]}))
    assert SegmentModel.load(tmp_path) == MODEL
