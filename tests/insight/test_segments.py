"""Segments: groups are found, and ids and names stay put from one training to the next."""

import math
import random
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from app.core.duck import Connection, write
from app.insight.results import SegmentRow
from app.insight.segment_names import DORMANT
from app.insight.segments import SMOOTHING_PRODUCTS, SMOOTHING_VIEWS, Segmented, assigned, fit_segments, prepared
from app.serve.segments import FEATURES, SegmentModel
from tests.handmade import relation

#: a typical user of each group: recency, frequency, monetary, conversion, abandonment, products, categories,
#: price, price level
GROUPS = {
    "buyers": (2, 15, 900, 0.2, 0.1, 40, 9, 200, 1.5),
    "lookers": (5, 2, 0, 0.0, 0.9, 12, 4, 60, 1.0),
    "sleepers": (80, 1, 0, 0.0, 0.0, 1, 1, 15, 0.5),
}
USER_COLUMNS = ", ".join(["user_id bigint", *(f"{name} double" for name in (*FEATURES, "views", "purchases"))])
SIZES = {"buyers": 30, "lookers": 60, "sleepers": 90}


def users(duck: Connection, folder: Path, seed: int, richest: float | None = None) -> tuple[Path, dict[int, str]]:
    """Users of three groups in no order, in two parts, and the group of each."""
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
    return stored(duck, folder, rows), dict(enumerate(groups))


def stored(duck: Connection, folder: Path, rows: list[tuple[Any, ...]]) -> Path:
    folder.mkdir()
    for part in range(2):
        own = relation(duck, [row for row in rows if row[0] % 2 == part], USER_COLUMNS)
        write(own, folder / f"part-{part:05d}.parquet")
    return folder


def groups_of(segmented: Segmented, groups: dict[int, str]) -> dict[int, Counter[str]]:
    """The users' groups by segment id."""
    found: dict[int, Counter[str]] = {}
    for row in pq.read_table(segmented.users).to_pylist():
        found.setdefault(row["segment_id"], Counter())[groups[row["user_id"]]] += 1
    return found


@dataclass(frozen=True)
class Fitted:
    """The users, their segmentation, its rows, and the users' groups by segment id."""

    table: Path
    model: SegmentModel
    rows: tuple[SegmentRow, ...]
    groups: dict[int, Counter[str]]


@pytest.fixture(scope="module")
def first(spark: SparkSession, duck: Connection, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("segments")
    table, groups = users(duck, folder / "users", seed=1, richest=1e9)
    found = fit_segments(spark, table, 3, 42, folder / "fitted")
    return Fitted(table, found.model, found.rows, groups_of(found, groups))


def test_groups_are_found_in_spite_of_an_outlier(first: Fitted) -> None:
    """K-Means on raw money puts the one with a billion into a cluster of its own."""
    found = sorted(first.groups.values(), key=str)
    assert found == sorted((Counter({name: size}) for name, size in SIZES.items()), key=str)
    assert first.model.silhouette is not None
    assert first.model.silhouette > 0.8


def test_conversion_is_drawn_to_that_of_the_shop(first: Fitted, duck: Connection) -> None:
    """Of few views little can be told; nobody buys more often than at every view."""
    table = pq.read_table(first.table)
    bought, viewed = (sum(table[name].to_pylist()) for name in ("purchases", "views"))
    assert first.model.base_conversion == pytest.approx(bought / viewed)
    assert 0 < bought < viewed
    rows = [(1, *[0] * len(FEATURES), 30, 3), (2, *[0] * len(FEATURES), 0, 0), (3, *[0] * len(FEATURES), 1, 90)]
    smoothed = prepared(relation(duck, rows, USER_COLUMNS), 0.2).order("user_id")
    rates = [rate for (rate,) in smoothed.select("conversion_rate").fetchall()]
    assert rates == pytest.approx([(3 + SMOOTHING_VIEWS * 0.2) / (30 + SMOOTHING_VIEWS), 0.2, 1.0])


def test_without_views_or_purchases_there_is_no_conversion(duck: Connection) -> None:
    """An order that nobody saw coming is no rate."""
    users = relation(duck, [(1, *[0] * len(FEATURES), 0, 3), (2, *[0] * len(FEATURES), 0, 90)], USER_COLUMNS)
    assert prepared(users, 0.0).select("conversion_rate").fetchall() == [(0.0,), (0.0,)]


def test_a_price_level_is_drawn_to_the_usual_where_few_products_tell(duck: Connection) -> None:
    at = {"unique_products": 45.0, "price_level": 0.5}
    rows = [
        (user, *[at.get(name, 0.0) if known else None for name in FEATURES], 1, 0) for user, known in ((1, 1), (2, 0))
    ]
    found = prepared(relation(duck, rows, USER_COLUMNS), 0.2).order("user_id").select("price_level").fetchall()
    assert [level for (level,) in found[:1]] == pytest.approx([math.log(0.5) * 45 / (45 + SMOOTHING_PRODUCTS)])


def test_a_segment_is_explained_by_the_features_that_set_it_apart(first: Fitted) -> None:
    for row in first.rows:
        centroid = dict(zip(FEATURES, first.model.centroids[row.segment_id], strict=True))
        most = sorted(centroid, key=lambda name: -abs(centroid[name]))[:3]
        assert [telling.feature for telling in row.features] == most
        total = sum(value**2 for value in centroid.values())
        for telling in row.features:
            half = 2 if telling.feature in ("recency", "avg_price") else 1
            assert telling.share == pytest.approx(centroid[telling.feature] ** 2 / total)
            assert telling.apart == pytest.approx(centroid[telling.feature] * half)
        assert row.traits
    spent = {row.segment_id: row.users * row.means.monetary for row in first.rows}
    assert {row.segment_id: row.revenue_share for row in first.rows} == pytest.approx(
        {number: money / sum(spent.values()) for number, money in spent.items()}
    )


def test_a_user_is_in_a_segment_because_of_up_to_three_features(duck: Connection) -> None:
    """By hand, in the model's units: what brings the user nearer to the centroid than to the average, most first.

    The first one's recency is 3 where the centroid has 2: 9 - 1. Abandonment is 1 of 1, unique products' logarithm 2
    of 4 (4 - 4 = 0, so nothing), the price level's logarithm off on the other side. The second is all but average.
    """
    at = {"recency": 2.0, "cart_abandonment": 1.0, "unique_products": 4.0, "price_level": 1.0}
    away = [at.get(name, 0.0) for name in FEATURES]
    model = SegmentModel([9.0] * 9, [0.0] * 9, [1.0] * 9, [[0.1] * 9, away], ["a", "b"], 0.0)
    first = {"recency": 3.0, "cart_abandonment": 1.0, "unique_products": math.e**2 - 1, "price_level": 0.5}
    rows = [
        (user, *[known.get(name, float(name == "price_level")) for name in FEATURES], 1, 0)
        for user, known in ((1, first), (2, {"cart_abandonment": 0.1}))
    ]
    found = assigned(relation(duck, rows, USER_COLUMNS), model).order("user_id").fetchall()
    assert found == [(1, 1, ["recency", "cart_abandonment"]), (2, 0, ["cart_abandonment"])]


def test_a_feature_of_half_the_weight_has_a_unit_of_two_deviations(first: Fitted) -> None:
    """Of what is left below the cap; long tails after their logarithm."""
    table = pq.read_table(first.table)
    for name, shown, deviations in (("recency", float, 2), ("frequency", math.log1p, 1), ("avg_price", math.log1p, 2)):
        at = FEATURES.index(name)
        cut = [min(shown(value), first.model.caps[at]) for value in table[name].to_pylist()]
        assert first.model.centre[at] == pytest.approx(statistics.mean(cut))
        assert first.model.scale[at] == pytest.approx(deviations * statistics.stdev(cut))


def test_rows_show_means_in_original_units(first: Fitted) -> None:
    rows = {row.segment_id: row for row in first.rows}
    sleepers = rows[next(number for number, groups in first.groups.items() if "sleepers" in groups)]
    assert (sleepers.users, sleepers.share, sleepers.segment) == (90, 0.5, DORMANT)
    assert sleepers.means.recency == pytest.approx(80, rel=0.05)
    assert sum(row.users for row in first.rows) == 180
    assert [row.segment for row in first.rows] == first.model.names


def test_ids_and_names_stay_after_a_retrain(
    spark: SparkSession, duck: Connection, tmp_path: Path, first: Fitted
) -> None:
    table, groups = users(duck, tmp_path / "users", seed=2)
    # The old model with its ids turned round: a retrain that ignored it could not hit these by chance.
    turn, model = [2, 0, 1], first.model
    previous = replace(
        model, centroids=[model.centroids[number] for number in turn], names=[model.names[number] for number in turn]
    )
    again = fit_segments(spark, table, 3, 42, tmp_path / "fitted", previous)
    retrained = groups_of(again, groups)
    assert {number: set(group) for number, group in retrained.items()} == {
        turn.index(number): set(group) for number, group in first.groups.items()
    }
    assert again.model.names == previous.names
    assert again.came_from == (0, 1, 2)


@pytest.mark.parametrize(
    ("one", "other", "segments"), [("buyers", None, 1), ("buyers", "buyers", 1), ("buyers", "sleepers", 2)]
)
def test_fewer_users_than_segments(
    spark: SparkSession, duck: Connection, tmp_path: Path, one: str, other: str | None, segments: int
) -> None:
    """Spark's K-Means fails on these with an ArrayIndexOutOfBoundsException."""
    rows = [(number, *map(float, GROUPS[name]), 10.0, 1.0) for number, name in enumerate((one, other)) if name]
    found = fit_segments(spark, stored(duck, tmp_path / "users", rows), 5, 42, tmp_path / "fitted")
    assert len(found.model.names) == len(found.rows) == segments
    assert len(set(pq.read_table(found.users)["segment_id"].to_pylist())) == segments


@pytest.mark.parametrize(("k", "came_from"), [(2, 2), (4, 3)])
def test_ids_go_on_where_the_number_of_segments_changes(
    spark: SparkSession, duck: Connection, tmp_path: Path, first: Fitted, k: int, came_from: int
) -> None:
    table, _ = users(duck, tmp_path / "users", seed=2)
    found = fit_segments(spark, table, k, 42, tmp_path / "fitted", first.model)
    assert len({*found.model.names}) == k
    known = [was for was in found.came_from if was is not None]
    assert len(known) == len({*known}) == came_from
    assert all(was == number for number, was in enumerate(found.came_from) if was is not None and was < k)


def test_as_many_segments_as_the_data_say(spark: SparkSession, duck: Connection, tmp_path: Path, first: Fitted) -> None:
    found = fit_segments(spark, first.table, None, 42, tmp_path / "fitted")
    assert len(found.rows) == 3
    assert [row.segments for row in found.tried] == list(range(2, 9))


def test_a_model_of_other_features_is_passed_over(
    spark: SparkSession, duck: Connection, tmp_path: Path, first: Fitted
) -> None:
    """As the first edition's are."""
    older = replace(first.model, centre=first.model.centre[:-1])
    found = fit_segments(spark, first.table, 3, 42, tmp_path / "fitted", older)
    assert found.came_from == (None, None, None)
