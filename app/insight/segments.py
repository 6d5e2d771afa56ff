"""Customer segments: K-Means clusters whose ids and names stay put from one training to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Relation, query, texts
from app.core.parts import Part, by_part, part_files, read_table
from app.insight.clusters import clusters
from app.insight.results import SegmentRow
from app.serve.segments import FEATURES, Means, SegmentModel, segment_names

LOGGED = ("frequency", "monetary", "unique_products", "unique_categories", "avg_price")  # long-tailed
WINSOR_QUANTILE = 0.99  #: larger values are cut: a few outliers would make clusters of their own
SMOOTHING_VIEWS = 10  #: views of an average user mixed into a conversion rate: 1 of 1 is not 100 %


@dataclass(frozen=True)
class Segmented:
    """A segmentation: its model, the size and means of each segment that has users, by id, and who is in which.

    `users`: table of user_id and segment_id (int, 0 …), in the parts of the users that it was fitted on.
    """

    model: SegmentModel
    rows: tuple[SegmentRow, ...]
    users: Path


def fit_segments(
    spark: SparkSession, users: Path, k: int, seed: int, folder: Path, previous: SegmentModel | None = None
) -> Segmented:
    """Train the segmentation.

    Parameters
    ----------
    spark
        Session.
    users
        Table of `user_features`, in parts.
    k
        Number of segments; fewer where there are fewer distinct users.
    seed
        Seed of the initial centroids.
    folder
        For the tables made here, on a disk that driver and executors share.
    previous
        The champion's model: new clusters take the ids (and, within limits, names) of the old
        ones they are nearest to.
    """
    folder.mkdir(parents=True)
    parts = len(part_files(users))
    with duck.connect(folder) as connection:
        ((bought, viewed),) = read_table(connection, users).aggregate("sum(purchases), sum(views)").fetchall()
        base = min(1.0, bought / viewed) if viewed else 0.0
        by_part(spark, parts, lambda part: part.write("prepared", prepared(part.read(users), base)), folder)
        caps, centre, scale = _moments(read_table(connection, folder / "prepared"))
        draft = SegmentModel(caps, centre, scale, [], [], base, None)
        by_part(spark, parts, lambda part: part.write("scaled", scaled(part.read(folder / "prepared"), draft)), folder)
        centroids, silhouette = clusters(read_table(connection, folder / "scaled"), k, seed)
        before: list[str] = []
        if previous is not None and len(previous.centroids) == len(centroids):
            centroids = _in_old_order(centroids, centre, scale, previous)
            before = previous.names
        model = replace(draft, centroids=centroids.tolist(), names=[""] * len(centroids), silhouette=silhouette)

        def assign(part: Part) -> None:
            segments = part.write("segments", assigned(part.read(users), model))
            part.write("sizes", _sizes(segments, part.read(users)))

        by_part(spark, parts, assign, folder)
        sizes = _put_together(read_table(connection, folder / "sizes"))
    means = {number: mean for number, (_, mean) in sizes.items()}
    names = segment_names([means.get(number) for number in range(len(centroids))], before)
    return Segmented(replace(model, names=names), tuple(_rows(sizes, names)), folder / "segments")


def store_named(spark: SparkSession, segments: Path, model: SegmentModel, target: Path) -> None:
    """Write the table of `Segmented.users` with the name of each segment: user_id, segment_id, segment."""
    names = texts(model.names)

    def name(part: Part) -> None:
        part.write(target.name, part.read(segments).select(f"*, {names}[segment_id + 1] as segment"))

    by_part(spark, len(part_files(segments)), name, target.parent)


def prepared(users: Relation, base_conversion: float) -> Relation:
    """User features as K-Means wants them: user_id, `FEATURES`; no nulls, ratios smoothed, long tails logged."""
    columns = {name: f"coalesce({name}::double, 0.0)" for name in FEATURES}
    smooth = f"(purchases + {SMOOTHING_VIEWS} * {base_conversion!r}::double) / (views + {SMOOTHING_VIEWS})"
    columns["conversion_rate"] = f"least({smooth}, 1.0)::double"
    columns |= {name: f"ln(1 + {columns[name]})" for name in LOGGED}
    return users.select(", ".join(["user_id", *(f"{column} as {name}" for name, column in columns.items())]))


def scaled(features: Relation, model: SegmentModel) -> Relation:
    """Features of `prepared`, cut and standardised."""
    moments = zip(FEATURES, model.caps, model.centre, model.scale, strict=True)
    columns = [
        f"(least({name}, {cap!r}::double) - {mean!r}::double) / {std!r}::double as {name}"
        for name, cap, mean, std in moments
    ]
    return features.select(", ".join(["user_id", *columns]))


def assigned(users: Relation, model: SegmentModel) -> Relation:
    """The segment of each of some users, that of the nearest centroid: user_id, segment_id (int, 0 …)."""
    distances = ", ".join(_distance(centroid) for centroid in model.centroids)
    return query(
        "select user_id, (list_position(distances, list_min(distances)) - 1)::int as segment_id "
        f"from (select user_id, [{distances}] as distances from scaled)",
        scaled=scaled(prepared(users, model.base_conversion), model),
    )


def _distance(centroid: list[float]) -> str:
    terms = (f"({name} - {value!r}::double) ** 2" for name, value in zip(FEATURES, centroid, strict=True))
    return f"round({' + '.join(terms)}, 9)"


def _sizes(segments: Relation, users: Relation) -> Relation:
    """Of the users of a part: segment_id, users, and the sum of each feature (original units)."""
    sums = ", ".join(f"fsum(coalesce({name}::double, 0.0)) as {name}" for name in FEATURES)
    return query(
        f"select segment_id, count(*) as users, {sums} from segments join users using (user_id) group by segment_id",
        segments=segments,
        users=users,
    )


def _put_together(sizes: Relation) -> dict[int, tuple[int, Means]]:
    """Users and mean features of each segment that has users, by id; from `_sizes` of all parts."""
    means = ", ".join(f"fsum({name}) / sum(users)" for name in FEATURES)
    rows = sizes.aggregate(f"segment_id, sum(users)::bigint, {means}").order("segment_id").fetchall()
    return {number: (users, Means(**dict(zip(FEATURES, row, strict=True)))) for number, users, *row in rows}


def _rows(sizes: dict[int, tuple[int, Means]], names: list[str]) -> Iterable[SegmentRow]:
    total = sum(users for users, _ in sizes.values()) or 1
    for number, (users, means) in sizes.items():
        yield SegmentRow(segment_id=number, segment=names[number], users=users, share=users / total, means=means)


def _moments(features: Relation) -> tuple[list[float], list[float], list[float]]:
    """Of each feature: where it is cut, and mean and deviation of what is left."""
    # Exact, so it holds 8 bytes a user, of one feature at a time.
    caps = [float(_single(features, f"quantile_disc({name}, {WINSOR_QUANTILE})")) for name in FEATURES]
    cut = [f"least({name}, {cap!r}::double)" for name, cap in zip(FEATURES, caps, strict=True)]
    # Rounded: the last bits of a floating sum depend on the order of the rows.
    moments = [f"round({moment}({column}), 9)" for moment in ("favg", "stddev_samp") for column in cut]
    (found,) = features.aggregate(", ".join(moments)).fetchall()
    centre, scale = found[: len(FEATURES)], found[len(FEATURES) :]
    return caps, list(centre), [deviation or 1.0 for deviation in scale]


def _single(relation: Relation, aggregate: str) -> float:
    ((value,),) = relation.aggregate(aggregate).fetchall()
    return value


def _in_old_order(centroids: np.ndarray, centre: list[float], scale: list[float], previous: SegmentModel) -> np.ndarray:
    """New centroids, each at the place of the old one it is nearest to (one to one)."""
    from scipy.optimize import linear_sum_assignment  # see `clusters`

    raw = centroids * np.array(scale) + np.array(centre)
    in_old_units = (raw - np.array(previous.centre)) / np.array(previous.scale)
    distances = ((in_old_units[:, None, :] - np.array(previous.centroids)[None, :, :]) ** 2).sum(axis=2)
    new, old = linear_sum_assignment(distances)
    ordered = np.empty_like(centroids)
    ordered[old] = centroids[new]
    return ordered
