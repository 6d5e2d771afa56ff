"""Customer segments: K-Means clusters with business names that stay put."""

import re
from dataclasses import asdict, dataclass, field
from itertools import count, takewhile, zip_longest
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

FEATURES = (
    "recency",
    "frequency",
    "monetary",
    "conversion_rate",
    "cart_abandonment",
    "unique_products",
    "unique_categories",
    "avg_price",
)
LOGGED = ("frequency", "monetary", "unique_products", "unique_categories", "avg_price")  # long-tailed
WINSOR_QUANTILE = 0.99  #: larger values are cut: a few outliers would make clusters of their own
SMOOTHING_VIEWS = 10  #: views of an average user mixed into a conversion rate: 1 of 1 is not 100 %
MAX_ITERATIONS = 20
NUMBER = re.compile(r"_\d+$")
NAME_SLACK = 0.15  #: a matched segment keeps its name until its means are this far past a threshold

VIP, LOYAL, ACTIVE, DORMANT, CASUAL = (
    "VIP_Customers",
    "Loyal_Customers",
    "Active_Buyers",
    "Dormant_Users",
    "Casual_Browsers",
)


def segment_name(means: dict[str, float]) -> str:
    """Business name of a cluster from its means, by the brief's thresholds (`_assign_segment_names`).

    Parameters
    ----------
    means
        Mean recency (days), frequency (days), monetary (currency), conversion_rate of the cluster.
    """
    return next((name for name, holds in _rules(means).items() if holds), CASUAL)


def _rules(means: dict[str, float], slack: float = 0.0) -> dict[str, bool]:
    """Which rules hold, in their order, each threshold loosened by a share (tightened by a negative one)."""
    recency, frequency, monetary = means["recency"], means["frequency"], means["monetary"]
    low, high = 1 - slack, 1 + slack
    return {
        VIP: monetary > 500 * low and frequency > 10 * low and recency < 30 * high,
        LOYAL: frequency > 5 * low and recency < 60 * high,
        ACTIVE: recency < 30 * high and means["conversion_rate"] > 0.1 * low,
        DORMANT: recency > 60 * low and frequency < 3 * high,
    }


def stable_name(means: dict[str, float], previous: str) -> str:
    """The previous name while the means are within `NAME_SLACK` of its thresholds, else the new one.

    Rules are tried in order, so a name is left in two ways: its own rule fails by more than the slack, or
    an earlier rule holds by more than the slack.
    """
    loose, tight = _rules(means, NAME_SLACK), _rules(means, -NAME_SLACK)
    earlier = takewhile(lambda name: name != previous, tight)
    stays = loose.get(previous, True) and not any(tight[name] for name in earlier)
    return previous if stays else segment_name(means)


def distinct_names(names: list[str], previous: list[str]) -> list[str]:
    """Numbered where several segments bear one name, so that no table or gate merges them.

    Parameters
    ----------
    names
        By segment id.
    previous
        The numbered names before this training; a segment whose name stays keeps its number. May be empty.
    """
    pairs = zip_longest(names, previous, fillvalue="")
    kept = [before if base_name(before) == name else "" for name, before in pairs]
    taken = set(kept)
    for place, name in enumerate(names):
        if not kept[place]:
            free = (name if nth == 1 else f"{name}_{nth}" for nth in count(1))
            kept[place] = next(one for one in free if one not in taken)
            taken.add(kept[place])
    return kept


def base_name(name: str) -> str:
    """A name without the number of `distinct_names`."""
    return NUMBER.sub("", name)


@dataclass(frozen=True)
class SegmentModel:
    """Everything needed to put a user into a segment; JSON-able.

    `caps`, `centre`, `scale`: one per feature of `FEATURES`; `centroids`: one row per segment, in
    standardised units; `names`: by segment id.
    """

    caps: list[float]
    centre: list[float]
    scale: list[float]
    centroids: list[list[float]]
    names: list[str]
    base_conversion: float
    silhouette: float | None = None
    table: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def prepared(users: DataFrame, base_conversion: float) -> DataFrame:
    """User features as K-Means wants them: no nulls, ratios smoothed, long tails logged."""
    smooth = (F.col("purchases") + SMOOTHING_VIEWS * F.lit(base_conversion)) / (F.col("views") + SMOOTHING_VIEWS)
    columns = {name: F.coalesce(F.col(name).cast("double"), F.lit(0.0)) for name in FEATURES}
    columns["conversion_rate"] = F.least(smooth, F.lit(1.0))
    columns |= {name: F.log1p(columns[name]) for name in LOGGED}
    return users.select("user_id", *(columns[name].alias(name) for name in FEATURES))


def fit_segments(users: DataFrame, k: int, seed: int, previous: SegmentModel | None = None) -> SegmentModel:
    """Train the segmentation.

    Parameters
    ----------
    users
        `user_features`, in an order that does not change from run to run.
    k
        Number of segments; fewer where there are fewer distinct users.
    seed
        Seed of the initial centroids.
    previous
        The champion's model: new clusters take the ids (and, within limits, names) of the old
        ones they are nearest to.
    """
    totals = users.agg(F.sum("purchases").alias("p"), F.sum("views").alias("v")).first()
    assert totals is not None
    base = min(1.0, totals["p"] / totals["v"]) if totals["v"] else 0.0
    frame = prepared(users, base)
    caps, centre, scale = _moments(frame)
    scaled = _standardised(frame, caps, centre, scale)
    centroids, silhouette = _clusters(scaled, k, seed)
    clusters = len(centroids)
    before = [""] * clusters  # names to keep, where there are any
    if previous is not None and len(previous.centroids) == clusters:
        centroids = _in_old_order(centroids, centre, scale, previous)
        before = previous.names
    draft = SegmentModel(caps, centre, scale, centroids.tolist(), [""] * clusters, base, silhouette)
    table = segment_table(assign_segments(users, draft).join(users, "user_id", how="inner"))
    means = {row["segment_id"]: row for row in table}
    names = distinct_names([_name(means.get(number), base_name(before[number])) for number in range(clusters)], before)
    for row in table:
        row["segment"] = names[row["segment_id"]]
    return SegmentModel(caps, centre, scale, centroids.tolist(), names, base, silhouette, table)


def _clusters(scaled: DataFrame, k: int, seed: int) -> tuple[np.ndarray, float | None]:
    """Centroids (k or fewer, features) in standardised units, and the silhouette."""
    # Imported where it is fitted: the stream opens segments too, and these take half of its imports' time.
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.evaluation import ClusteringEvaluator
    from pyspark.ml.feature import VectorAssembler

    # Spark's K-Means can run out of an array's bounds where there are fewer distinct users than clusters.
    k = scaled.select(*FEATURES).distinct().limit(k).count()
    if k < 2:  # all users are alike: in standardised units they lie at 0
        return np.zeros((1, len(FEATURES))), None
    vectors = VectorAssembler(inputCols=list(FEATURES), outputCol="features").transform(scaled).persist()
    try:
        model = KMeans(k=k, seed=seed, maxIter=MAX_ITERATIONS).fit(vectors)
        centroids = np.array(model.clusterCenters())
        silhouette = ClusteringEvaluator().evaluate(model.transform(vectors)) if len(centroids) > 1 else None
    finally:
        vectors.unpersist()
    return centroids, silhouette


def _name(means: dict[str, float] | None, previous: str) -> str:
    if means is None:  # an empty cluster: nobody is in it
        return previous or CASUAL
    return stable_name(means, previous) if previous else segment_name(means)


def _moments(frame: DataFrame) -> tuple[list[float], list[float], list[float]]:
    quantiles = frame.agg(
        *(F.percentile_approx(name, F.lit(WINSOR_QUANTILE), F.lit(10_000)).alias(name) for name in FEATURES)
    ).first()
    assert quantiles is not None
    caps = [float(quantiles[name]) for name in FEATURES]
    cut = [F.least(F.col(name), F.lit(cap)) for name, cap in zip(FEATURES, caps, strict=True)]
    # Rounded: the last bits of a floating sum depend on the order in which partitions arrive.
    row = frame.agg(
        *(F.round(F.avg(column), 9).alias(f"mean_{name}") for name, column in zip(FEATURES, cut, strict=True)),
        *(F.round(F.stddev(column), 9).alias(f"std_{name}") for name, column in zip(FEATURES, cut, strict=True)),
    ).first()
    assert row is not None
    return caps, [row[f"mean_{name}"] for name in FEATURES], [row[f"std_{name}"] or 1.0 for name in FEATURES]


def _standardised(frame: DataFrame, caps: list[float], centre: list[float], scale: list[float]) -> DataFrame:
    columns = [
        ((F.least(F.col(name), F.lit(cap)) - F.lit(mean)) / F.lit(std)).alias(name)
        for name, cap, mean, std in zip(FEATURES, caps, centre, scale, strict=True)
    ]
    return frame.select("user_id", *columns)


def _in_old_order(centroids: np.ndarray, centre: list[float], scale: list[float], previous: SegmentModel) -> np.ndarray:
    """New centroids, each at the place of the old one it is nearest to (one to one)."""
    from scipy.optimize import linear_sum_assignment  # see _clusters

    raw = centroids * np.array(scale) + np.array(centre)
    in_old_units = (raw - np.array(previous.centre)) / np.array(previous.scale)
    distances = ((in_old_units[:, None, :] - np.array(previous.centroids)[None, :, :]) ** 2).sum(axis=2)
    new, old = linear_sum_assignment(distances)
    ordered = np.empty_like(centroids)
    ordered[old] = centroids[new]
    return ordered


def assign_segments(users: DataFrame, model: SegmentModel) -> DataFrame:
    """The segment of each user: that of the nearest centroid.

    Returns
    -------
    DataFrame
        user_id, segment_id (int, 0 …), segment (name).
    """
    scaled = _standardised(prepared(users, model.base_conversion), model.caps, model.centre, model.scale)
    distances = F.array(*(_distance(centroid) for centroid in model.centroids))
    number = (F.array_position(distances, F.array_min(distances)) - 1).cast("int")
    names = F.array(*(F.lit(name) for name in model.names))
    return scaled.select("user_id", number.alias("segment_id")).withColumn(
        "segment", F.element_at(names, F.col("segment_id") + 1)
    )


def _distance(centroid: list[float]) -> Column:
    terms = [(F.col(name) - F.lit(value)) ** 2 for name, value in zip(FEATURES, centroid, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return F.round(total, 9)


def segment_table(segmented: DataFrame) -> list[dict[str, Any]]:
    """Size and mean features (original units) of each segment.

    Parameters
    ----------
    segmented
        User features with segment_id.
    """
    means = [F.avg(F.coalesce(F.col(name).cast("double"), F.lit(0.0))).alias(name) for name in FEATURES]
    rows = segmented.groupBy("segment_id").agg(F.count("*").alias("users"), *means).orderBy("segment_id").collect()
    total = sum(row["users"] for row in rows) or 1
    return [{"segment": "", **row.asDict(), "share": row["users"] / total} for row in rows]
