"""The figures behind the charts, on recommendations counted by hand."""

from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from app.insight.performance import PERFORMANCE_SCHEMA
from app.insight.recommendations import BINS, MOST_PER_USER, recommendation_figures, with_category_ids
from app.insight.results import Bin, Cell, PerUserRow, RecommendationFigures, RecommendedRow

SCHEMA = (
    "user_id long, product_id long, rank int, rec_score double, recommended_category_code string, "
    "main_brand string, avg_price double, recommendation_type string, source string, "
    "model_version string, generated_at timestamp"
)
AT = datetime(2019, 11, 1)


def table(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    """Rows of user, score, category code, brand, price, source."""
    full = [
        (user, 100 + place, 1, score, code, brand, price, "personal", source, "v1", AT)
        for place, (user, score, code, brand, price, source) in enumerate(rows)
    ]
    return spark.createDataFrame(full, SCHEMA)


def test_counts_made_by_hand(spark: SparkSession) -> None:
    figures = recommendation_figures(
        table(
            spark,
            [
                (1, 0.0, "electronics.smartphone", "apple", 100.0, "als"),
                (1, 1.0, "electronics.audio.headphone", "apple", 500.0, "als"),
                (1, 0.5, "unknown", "unknown", None, "popularity"),
                (2, 0.25, "apparel", "nike", 300.0, "als"),
                (2, float("nan"), None, None, float("nan"), "popularity"),
                (3, 0.5, "electronics.clocks", "acme", 100.0, "covisitation"),
            ],
        )
    )
    assert (figures.recommendations, figures.users, figures.without_price) == (6, 3, 2)
    assert (figures.highest_score, figures.highest_price) == (1.0, 500.0)
    assert figures.categories == (
        RecommendedRow(name="electronics", recommendations=3, mean_score=0.5),
        RecommendedRow(name="apparel", recommendations=1, mean_score=0.25),
    )
    assert figures.brands == (
        RecommendedRow(name="apple", recommendations=2, mean_score=0.5),
        RecommendedRow(name="acme", recommendations=1, mean_score=0.5),
        RecommendedRow(name="nike", recommendations=1, mean_score=0.25),
    )
    assert (figures.unknown_categories, figures.unknown_brands) == (2, 2)
    assert figures.sources == (
        RecommendedRow(name="als", recommendations=3, mean_score=1.25 / 3),
        RecommendedRow(name="popularity", recommendations=2, mean_score=0.5),
        RecommendedRow(name="covisitation", recommendations=1, mean_score=0.5),
    )
    assert figures.per_user == (
        PerUserRow(recommendations=1, users=1),
        PerUserRow(recommendations=2, users=1),
        PerUserRow(recommendations=3, users=1),
    )
    # Forty bins of 0.025 from 0 to 1, and of 10 from 100 to 500; the last holds its upper edge.
    assert {n: bar.recommendations for n, bar in enumerate(figures.scores) if bar.recommendations} == {
        0: 1,
        10: 1,
        20: 2,
        39: 1,
    }
    assert {n: bar.recommendations for n, bar in enumerate(figures.prices) if bar.recommendations} == {
        0: 2,
        20: 1,
        39: 1,
    }
    assert (figures.prices[0].low, figures.prices[0].high, figures.prices[-1].high) == (
        100.0,
        110.0,
        500.0,
    )
    assert figures.grid == (
        Cell(score_bin=0, price_bin=0, recommendations=1),
        Cell(score_bin=10, price_bin=20, recommendations=1),
        Cell(score_bin=20, price_bin=0, recommendations=1),
        Cell(score_bin=39, price_bin=39, recommendations=1),
    )
    assert RecommendationFigures.model_validate_json(figures.model_dump_json()) == figures


def test_ten_names_besides_unknown(spark: SparkSession) -> None:
    named = [(n, 0.1, f"category{n:02d}.x", f"brand{n:02d}", 1.0, "als") for n in range(12) for _ in range(20 - n)]
    lost = [(99, 0.1, "unknown", "unknown", 1.0, "als")] * 2
    figures = recommendation_figures(table(spark, named + lost))
    assert [row.name for row in figures.categories] == [f"category{n:02d}" for n in range(10)]
    assert [row.recommendations for row in figures.brands] == list(range(20, 10, -1))
    assert (figures.unknown_categories, figures.unknown_brands) == (2, 2)


def test_outliers_share_the_last_bin(spark: SparkSession) -> None:
    rows = [(n, float(n % 100), "a", "b", 10.0, "als") for n in range(999)] + [(999, 1e6, "a", "b", 10.0, "als")]
    figures = recommendation_figures(table(spark, rows))
    assert figures.highest_score == 1e6
    assert figures.scores[-1].high == 99.0
    assert len(figures.scores) == BINS
    assert sum(bar.recommendations for bar in figures.scores) == 1000
    assert figures.prices == (Bin(low=10.0, high=10.0, recommendations=1000),)


def test_many_recommendations_of_a_user_are_counted_together(spark: SparkSession) -> None:
    rows = [(1, 0.1, "a", "b", 1.0, "als")] * (MOST_PER_USER + 5) + [(2, 0.1, "a", "b", 1.0, "als")] * MOST_PER_USER
    figures = recommendation_figures(table(spark, rows))
    assert figures.per_user == (PerUserRow(recommendations=MOST_PER_USER, users=2),)
    assert figures.per_user_cap == MOST_PER_USER


def test_no_recommendations(spark: SparkSession) -> None:
    figures = recommendation_figures(spark.createDataFrame([], SCHEMA))
    assert (figures.recommendations, figures.users, figures.highest_price) == (0, 0, None)
    tables = (figures.scores, figures.prices, figures.grid, figures.categories, figures.brands, figures.sources)
    assert (*tables, figures.per_user) == ((),) * 7


def test_categories_without_names_are_shown_by_their_ids(spark: SparkSession) -> None:
    """By the shop's own id of a product, whether that is a number or a text."""
    lists = table(spark, [(1, 0.5, "unknown", "acme", None, "als"), (2, 0.1, None, "acme", None, "als")] * 2)
    known = [(100, None, "category 7"), (101, "a", None), (102, "b", "category 7"), (9, None, "category 8")]
    rows = [
        Row(
            **dict.fromkeys(PERFORMANCE_SCHEMA.names) | {"product_id": number, "product_key": key, "category": category}
        )
        for number, key, category in known
    ]
    products = spark.createDataFrame(rows, PERFORMANCE_SCHEMA)
    figures = recommendation_figures(with_category_ids(lists, products))
    assert (figures.recommendations, figures.unknown_categories) == (4, 2)
    assert [(row.name, row.recommendations) for row in figures.categories] == [("category 7", 2)]
    texts = lists.withColumn(
        "product_id",
        F.element_at(
            F.create_map(*(F.lit(x) for x in (100, "100", 101, "a", 102, "b", 103, "c"))),
            F.col("product_id").cast("int"),
        ),
    )
    figures = recommendation_figures(with_category_ids(texts, products))
    assert [(row.name, row.recommendations) for row in figures.categories] == [("category 7", 2)]
