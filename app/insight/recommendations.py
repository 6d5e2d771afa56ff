"""The numbers behind the charts of recommendations, from their table."""

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from app.events.vocabulary import UNKNOWN
from app.insight.results import Bin, Cell, PerUserRow, RecommendationFigures, RecommendedRow

BINS = 40  #: bars of a histogram, and cells along each side of the grid
TOP = 10
TAIL = 0.995  #: values above this quantile share the last bin, so that outliers don't squeeze the rest
MOST_PER_USER = 50  #: users with as many recommendations or more are counted together

COLUMNS = ("main_category", "brand", "source", "score_bin", "price_bin")
#: `grouping_id` of each grouping set: a bit of 1 for each of COLUMNS that is not in the set.
CATEGORIES, BRANDS, SOURCES, GRID = 0b01111, 0b10111, 0b11011, 0b11100


def recommendation_figures(recommendations: DataFrame) -> RecommendationFigures:
    """Summarise a table of recommendations in three passes.

    Parameters
    ----------
    recommendations
        Uses `user_id`, `rec_score` (double), `recommended_category_code`, `main_brand`, `avg_price`
        (double, shop currency) and `source`; one row a recommended product.
    """
    table = recommendations.select(
        "user_id",
        F.coalesce(F.substring_index("recommended_category_code", ".", 1), F.lit(UNKNOWN)).alias("main_category"),
        F.coalesce("main_brand", F.lit(UNKNOWN)).alias("brand"),
        F.coalesce("source", F.lit(UNKNOWN)).alias("source"),
        F.when(~F.isnan("rec_score"), F.col("rec_score")).alias("score"),
        F.when(~F.isnan("avg_price"), F.col("avg_price")).alias("price"),
    )
    extent = _extent(table)
    scores, prices = _edges(extent, "score"), _edges(extent, "price")
    groups = _groups(table, scores, prices)
    per_user = _per_user(table)
    cells = [row for row in groups if row["kind"] == GRID]
    return RecommendationFigures(
        recommendations=extent["recommendations"],
        users=sum(row.users for row in per_user),
        without_price=extent["recommendations"] - extent["priced"],
        highest_score=extent["score_max"],
        highest_price=extent["price_max"],
        scores=_histogram(scores, cells, "score_bin"),
        prices=_histogram(prices, cells, "price_bin"),
        grid=_grid(cells),
        categories=_top(groups, CATEGORIES, "main_category"),
        brands=_top(groups, BRANDS, "brand"),
        unknown_categories=_unknown(groups, CATEGORIES, "main_category"),
        unknown_brands=_unknown(groups, BRANDS, "brand"),
        sources=_named([row for row in groups if row["kind"] == SOURCES], "source"),
        per_user=per_user,
        per_user_cap=MOST_PER_USER,
    )


def with_category_ids(recommendations: DataFrame, performance: DataFrame) -> DataFrame:
    """The same with categories by their ids, in a shop that has no names for them.

    Parameters
    ----------
    recommendations
        As for `recommendation_figures`.
    performance
        `app.insight.performance.PERFORMANCE_SCHEMA`.
    """
    text = isinstance(recommendations.schema["product_id"].dataType, StringType)
    own_id = F.coalesce("product_key", F.col("product_id").cast("string")) if text else F.col("product_id")
    categories = performance.select(own_id.alias("product_id"), F.col("category").alias("recommended_category_code"))
    return recommendations.drop("recommended_category_code").join(categories, "product_id", how="left")


def _extent(table: DataFrame) -> Row:
    """First pass: counts, smallest, largest and the quantile that bounds the bins."""
    row = table.agg(
        F.count(F.lit(1)).alias("recommendations"),
        F.count("price").alias("priced"),
        *(
            how(name).alias(f"{name}_{suffix}")
            for name in ("score", "price")
            for suffix, how in (
                ("min", F.min),
                ("max", F.max),
                ("tail", lambda column: F.percentile_approx(column, TAIL)),
            )
        ),
    ).first()
    assert row is not None  # an aggregate without groups always has one row
    return row


def _edges(extent: Row, name: str) -> list[float]:
    """Edges of the bins, ascending: none where there is no value, two equal where all are the same."""
    low, tail, high = (extent[f"{name}_{suffix}"] for suffix in ("min", "tail", "max"))
    if low is None:
        return []
    top = tail if tail > low else high
    if top == low:
        return [low, low]
    return [low + (top - low) * step / BINS for step in range(BINS)] + [top]


def _bin(name: str, edges: list[float]) -> Column:
    """Number of the value's bin; null where there is no value."""
    if len(edges) < 3:  # a single value: no bins
        return F.when(F.col(name).isNotNull(), F.lit(0))
    low, width = edges[0], (edges[-1] - edges[0]) / BINS
    place = F.least(F.floor((F.col(name) - low) / width), F.lit(BINS - 1)).cast("int")
    return F.when(F.col(name).isNotNull(), place)  # `least` skips nulls


def _groups(table: DataFrame, scores: list[float], prices: list[float]) -> list[Row]:
    """Second pass: counts and mean scores by category, brand, source and cell of the grid."""
    binned = table.withColumns({"score_bin": _bin("score", scores), "price_bin": _bin("price", prices)})
    category, brand, source, score_bin, price_bin = (F.col(name) for name in COLUMNS)
    grouped = binned.groupingSets(
        [[category], [brand], [source], [score_bin, price_bin]], *(F.col(name) for name in COLUMNS)
    ).agg(
        F.grouping_id().alias("kind"),
        F.count(F.lit(1)).alias("recommendations"),
        F.avg("score").alias("mean_score"),
    )
    # "unknown" comes first, so that it takes no place of the ten.
    name = F.coalesce("main_category", "brand", "source")
    order = Window.partitionBy("kind").orderBy((name == UNKNOWN).desc_nulls_last(), F.desc("recommendations"), name)
    ranked = grouped.withColumn("place", F.row_number().over(order))
    return ranked.where((F.col("kind") == GRID) | (F.col("place") <= TOP + 1)).collect()


def _per_user(table: DataFrame) -> tuple[PerUserRow, ...]:
    """Third pass: how many users have how many recommendations."""
    counts = table.groupBy("user_id").agg(F.count(F.lit(1)).alias("n"))
    capped = counts.groupBy(F.least("n", F.lit(MOST_PER_USER)).alias("n")).agg(F.count(F.lit(1)).alias("users"))
    return tuple(PerUserRow(recommendations=row["n"], users=row["users"]) for row in capped.orderBy("n").collect())


def _histogram(edges: list[float], cells: list[Row], column: str) -> tuple[Bin, ...]:
    counts = [0] * max(len(edges) - 1, 0)
    for cell in cells:
        if cell[column] is not None:
            counts[cell[column]] += cell["recommendations"]
    return tuple(
        Bin(low=low, high=high, recommendations=n) for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
    )


def _grid(cells: list[Row]) -> tuple[Cell, ...]:
    known = [row for row in cells if row["score_bin"] is not None and row["price_bin"] is not None]
    return tuple(
        Cell(score_bin=row["score_bin"], price_bin=row["price_bin"], recommendations=row["recommendations"])
        for row in sorted(known, key=lambda row: (row["score_bin"], row["price_bin"]))
    )


def _top(groups: list[Row], kind: int, key: str) -> tuple[RecommendedRow, ...]:
    return _named([row for row in groups if row["kind"] == kind and row[key] != UNKNOWN], key)[:TOP]


def _named(rows: list[Row], key: str) -> tuple[RecommendedRow, ...]:
    ordered = sorted(rows, key=lambda row: (-row["recommendations"], row[key]))
    return tuple(
        RecommendedRow(name=row[key], recommendations=row["recommendations"], mean_score=row["mean_score"])
        for row in ordered
    )


def _unknown(groups: list[Row], kind: int, key: str) -> int:
    return sum(row["recommendations"] for row in groups if row["kind"] == kind and row[key] == UNKNOWN)
