"""Customer segments: K-Means clusters whose ids and names stay put from one training to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table
from app.insight.clusters import clusters
from app.insight.results import SegmentRow, TellingFeature, TriedNumber
from app.insight.segment_names import Cluster, segment_names, traits
from app.serve.segments import FEATURES, Means, SegmentModel

LOGGED = ("frequency", "monetary", "unique_products", "unique_categories", "avg_price")  # long-tailed
#: What says when somebody came, or what kind of product it was, rather than how somebody behaves, weighs less: else
#: people of one behaviour are set apart by the date of their visit.
WEIGHTS = {"recency": 0.5, "avg_price": 0.5}
MISSING = {"price_level": 1.0}  #: what stands for a value that is not known, if not 0
WINSOR_QUANTILE = 0.99  #: larger values are cut: a few outliers would make clusters of their own
SMOOTHING_VIEWS = 10  #: views of an average user mixed into a conversion rate: 1 of 1 is not 100 %
SMOOTHING_PRODUCTS = 5  #: products of usual price mixed into a price level: one cheap product says little
TELLING = 3  #: features by which a segment is explained


@dataclass(frozen=True)
class Segmented:
    """A segmentation: its model, the size and means of each segment that has users, by id, and who is in which.

    `users`: table as of `assigned`, in the parts of the users that it was fitted on.
    `came_from`: by id, the id of the same segment before this training; None where there was none.
    `tried`: numbers of segments that were tried.
    """

    model: SegmentModel
    rows: tuple[SegmentRow, ...]
    users: Path
    came_from: tuple[int | None, ...]
    tried: tuple[TriedNumber, ...] = ()


def fit_segments(
    spark: SparkSession, users: Path, k: int | None, seed: int, folder: Path, previous: SegmentModel | None = None
) -> Segmented:
    """Train the segmentation.

    Parameters
    ----------
    spark
        Session.
    users
        Table of `user_features`, in parts.
    k
        Number of segments, fewer where there are fewer distinct users; None for as many as the data say.
    seed
        Seed of the initial centroids.
    folder
        For the tables made here, on a disk that driver and executors share.
    previous
        The champion's model: new clusters take the ids of the old ones they are nearest to, and their names for as
        long as these are true. One of other features than today's is passed over.
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
        earlier = previous if previous and len(previous.centre) == len(FEATURES) else None
        before = np.array(earlier.centroids) if earlier else None
        found = clusters(read_table(connection, folder / "scaled"), k, seed, before)
        centroids, came_from = _in_old_order(found.centroids, before)
        draft = replace(draft, centroids=centroids.tolist(), names=[], silhouette=found.silhouette)

        def assign(part: Part) -> None:
            segments = part.write("segments", assigned(part.read(users), draft))
            part.write("sizes", _sizes(segments, part.read(users)))

        by_part(spark, parts, assign, folder)
        sizes = _put_together(read_table(connection, folder / "sizes"))
    seen = [Cluster(apart, sizes[at][1] if at in sizes else None, base) for at, apart in enumerate(draft.centroids)]
    names = segment_names(seen, ["" if was is None or not earlier else earlier.names[was] for was in came_from])
    rows = tuple(_rows(sizes, names, seen))
    return Segmented(replace(draft, names=names), rows, folder / "segments", tuple(came_from), found.tried)


def prepared(users: Relation, base_conversion: float) -> Relation:
    """User features as K-Means wants them: user_id, `FEATURES`; no nulls, ratios smoothed, long tails logged.

    Where nobody views, or nobody buys, there is no rate of conversion to tell users apart by.
    """
    columns = _known()
    columns["price_level"] = (
        f"(ln({columns['price_level']}) * unique_products / (unique_products + {SMOOTHING_PRODUCTS}))::double"
    )
    smooth = f"(purchases + {SMOOTHING_VIEWS} * {base_conversion!r}::double) / (views + {SMOOTHING_VIEWS})"
    columns["conversion_rate"] = f"least({smooth}, 1.0)::double" if base_conversion else "0.0::double"
    columns |= {name: f"ln(1 + {columns[name]})" for name in LOGGED}
    return users.select(", ".join(["user_id", *(f"{column} as {name}" for name, column in columns.items())]))


def _known() -> dict[str, str]:
    """Features in original units, as SQL; no nulls."""
    return {name: f"coalesce({name}::double, {MISSING.get(name, 0.0)}::double)" for name in FEATURES}


def scaled(features: Relation, model: SegmentModel) -> Relation:
    """Features of `prepared`, cut, and in the model's units."""
    moments = zip(FEATURES, model.caps, model.centre, model.scale, strict=True)
    columns = [
        f"(least({name}, {cap!r}::double) - {mean!r}::double) / {std!r}::double as {name}"
        for name, cap, mean, std in moments
    ]
    return features.select(", ".join(["user_id", *columns]))


def assigned(users: Relation, model: SegmentModel) -> Relation:
    """The segment of each of some users, that of the nearest centroid.

    Returns
    -------
    Relation
        user_id, segment_id (int, 0 …), `because` (list of text): of `FEATURES` up to three, the telling one first, by
        which the user is nearer to that centroid than to the average user; none where there is but one segment.
    """
    distances = ", ".join(_distance(centroid) for centroid in model.centroids)
    gains = ", ".join(_gain(place, model) for place in range(len(FEATURES)))
    return query(
        f"select user_id, segment_id, [one.name for one in list_reverse_sort([{gains}])[1:{TELLING}] if one.gain > 0] "
        "as because from (select *, (list_position(distances, list_min(distances)) - 1)::int as segment_id "
        f"from (select *, [{distances}] as distances from scaled))",
        scaled=scaled(prepared(users, model.base_conversion), model),
    )


def _gain(place: int, model: SegmentModel) -> str:
    """By how much a feature makes a user's squared distance to the segment less than that to the average, 0."""
    name = FEATURES[place]
    centroids = ", ".join(f"{centroid[place]!r}::double" for centroid in model.centroids)
    return f"{{'gain': round({name} ** 2 - ({name} - [{centroids}][segment_id + 1]) ** 2, 9), 'name': '{name}'}}"


def _distance(centroid: list[float]) -> str:
    terms = (f"({name} - {value!r}::double) ** 2" for name, value in zip(FEATURES, centroid, strict=True))
    return f"round({' + '.join(terms)}, 9)"


def _sizes(segments: Relation, users: Relation) -> Relation:
    """Of the users of a part: segment_id, users, and the sum of each feature (original units)."""
    sums = ", ".join(f"fsum({value}) as {name}" for name, value in _known().items())
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


def _rows(sizes: dict[int, tuple[int, Means]], names: list[str], seen: list[Cluster]) -> Iterable[SegmentRow]:
    total = sum(users for users, _ in sizes.values()) or 1
    spent = sum(users * means.monetary for users, means in sizes.values())
    for number, (users, means) in sizes.items():
        yield SegmentRow(
            segment_id=number,
            segment=names[number],
            traits=tuple(traits(seen[number])),
            features=_telling(seen[number]),
            users=users,
            share=users / total,
            revenue_share=users * means.monetary / spent if spent else None,
            means=means,
        )


def _telling(cluster: Cluster) -> tuple[TellingFeature, ...]:
    """The features that set a cluster apart the most; none where there is but one cluster."""
    squares = {name: cluster.at(name) ** 2 for name in FEATURES}
    total = sum(squares.values())
    most = sorted(squares, key=lambda name: -squares[name])[:TELLING]
    return tuple(
        TellingFeature(feature=name, apart=cluster.at(name) / WEIGHTS.get(name, 1.0), share=squares[name] / total)
        for name in most
        if squares[name]
    )


def _moments(features: Relation) -> tuple[list[float], list[float], list[float]]:
    """Of each feature: where it is cut, mean of what is left, and its deviation over the feature's weight."""
    # Exact, so it holds 8 bytes a user, of one feature at a time.
    caps = [float(_single(features, f"quantile_disc({name}, {WINSOR_QUANTILE})")) for name in FEATURES]
    cut = [f"least({name}, {cap!r}::double)" for name, cap in zip(FEATURES, caps, strict=True)]
    # Rounded: the last bits of a floating sum depend on the order of the rows.
    moments = [f"round({moment}({column}), 9)" for moment in ("favg", "stddev_samp") for column in cut]
    (found,) = features.aggregate(", ".join(moments)).fetchall()
    centre, scale = found[: len(FEATURES)], found[len(FEATURES) :]
    weighed = zip(FEATURES, scale, strict=True)
    return caps, list(centre), [(deviation or 1.0) / WEIGHTS.get(name, 1.0) for name, deviation in weighed]


def _single(relation: Relation, aggregate: str) -> float:
    ((value,),) = relation.aggregate(aggregate).fetchall()
    return value


def _in_old_order(centroids: np.ndarray, before: np.ndarray | None) -> tuple[np.ndarray, list[int | None]]:
    """New centroids, each at the place of the old one it is nearest to (one to one), and that place.

    Nearest as seen from the average user of either time: where all come more often, nobody has become another.
    """
    from scipy.optimize import linear_sum_assignment  # see `clusters`

    if before is None:
        return centroids, [None] * len(centroids)
    distances = ((centroids[:, None, :] - before[None, :, :]) ** 2).sum(axis=2)
    pairs = dict(zip(*(side.tolist() for side in linear_sum_assignment(distances)), strict=True))
    places = {new: old for new, old in pairs.items() if old < len(centroids)}
    free = iter(sorted(set(range(len(centroids))) - set(places.values())))
    order = sorted(range(len(centroids)), key=lambda new: places[new] if new in places else next(free))
    return centroids[order], [pairs.get(new) for new in order]
