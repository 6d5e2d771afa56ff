"""Customer segments: K-Means clusters whose ids and names stay put from one training to the next."""

from dataclasses import replace

import numpy as np
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from app.insight.results import SegmentRow
from app.serve.segments import FEATURES, Means, SegmentModel, segment_names

LOGGED = ("frequency", "monetary", "unique_products", "unique_categories", "avg_price")  # long-tailed
WINSOR_QUANTILE = 0.99  #: larger values are cut: a few outliers would make clusters of their own
SMOOTHING_VIEWS = 10  #: views of an average user mixed into a conversion rate: 1 of 1 is not 100 %
MAX_ITERATIONS = 20


def prepared(users: DataFrame, base_conversion: float) -> DataFrame:
    """User features as K-Means wants them: no nulls, ratios smoothed, long tails logged."""
    smooth = (F.col("purchases") + SMOOTHING_VIEWS * F.lit(base_conversion)) / (F.col("views") + SMOOTHING_VIEWS)
    columns = {name: F.coalesce(F.col(name).cast("double"), F.lit(0.0)) for name in FEATURES}
    columns["conversion_rate"] = F.least(smooth, F.lit(1.0))
    columns |= {name: F.log1p(columns[name]) for name in LOGGED}
    return users.select("user_id", *(columns[name].alias(name) for name in FEATURES))


def fit_segments(
    users: DataFrame, k: int, seed: int, previous: SegmentModel | None = None
) -> tuple[SegmentModel, tuple[SegmentRow, ...]]:
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

    Returns
    -------
    model, rows
        The segmentation, and the size and means of each segment that has users, by id.
    """
    totals = users.agg(F.sum("purchases").alias("p"), F.sum("views").alias("v")).first()
    assert totals is not None
    base = min(1.0, totals["p"] / totals["v"]) if totals["v"] else 0.0
    frame = prepared(users, base)
    caps, centre, scale = _moments(frame)
    scaled = _standardised(frame, caps, centre, scale)
    centroids, silhouette = _clusters(scaled, k, seed)
    clusters = len(centroids)
    before: list[str] = []
    if previous is not None and len(previous.centroids) == clusters:
        centroids = _in_old_order(centroids, centre, scale, previous)
        before = previous.names
    draft = SegmentModel(caps, centre, scale, centroids.tolist(), [""] * clusters, base, silhouette)
    sizes = _sizes(assign_segments(users, draft).join(users, "user_id", how="inner"))
    means = {row["segment_id"]: Means(**{name: row[name] for name in FEATURES}) for row in sizes}
    names = segment_names([means.get(number) for number in range(clusters)], before)
    total = sum(row["users"] for row in sizes) or 1
    rows = tuple(
        SegmentRow(
            segment_id=row["segment_id"],
            segment=names[row["segment_id"]],
            users=row["users"],
            share=row["users"] / total,
            means=means[row["segment_id"]],
        )
        for row in sizes
    )
    return replace(draft, names=names), rows


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


def _sizes(segmented: DataFrame) -> list[Row]:
    """Users and mean features (original units) of each segment that has users: segment_id, users, FEATURES."""
    means = [F.avg(F.coalesce(F.col(name).cast("double"), F.lit(0.0))).alias(name) for name in FEATURES]
    return segmented.groupBy("segment_id").agg(F.count("*").alias("users"), *means).orderBy("segment_id").collect()
