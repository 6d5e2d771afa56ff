"""The figures behind the charts, on recommendations counted by hand."""

from typing import Any

import pyarrow as pa

from app.core.duck import Connection, Relation
from app.insight.recommendations import BINS, MOST_PER_USER, recommendation_figures, with_category_ids
from app.insight.results import Bin, Cell, PerUserRow, RecommendationFigures, RecommendedRow


def table(duck: Connection, rows: list[tuple[Any, ...]]) -> Relation:
    """Rows of user, score, category code, brand, price, source."""
    user, score, code, brand, price, source = [*zip(*rows, strict=True)] or [()] * 6
    return duck.from_arrow(
        pa.table(
            {
                "user_id": pa.array(user, pa.int64()),
                "product_id": pa.array(range(100, 100 + len(rows)), pa.int64()),
                "rec_score": pa.array(score, pa.float64()),
                "recommended_category_code": pa.array(code, pa.string()),
                "main_brand": pa.array(brand, pa.string()),
                "avg_price": pa.array(price, pa.float64()),
                "source": pa.array(source, pa.string()),
            }
        )
    )


def test_counts_made_by_hand(duck: Connection) -> None:
    figures = recommendation_figures(
        table(
            duck,
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


def test_ten_names_besides_unknown(duck: Connection) -> None:
    named = [(n, 0.1, f"category{n:02d}.x", f"brand{n:02d}", 1.0, "als") for n in range(12) for _ in range(20 - n)]
    lost = [(99, 0.1, "unknown", "unknown", 1.0, "als")] * 2
    figures = recommendation_figures(table(duck, named + lost))
    assert [row.name for row in figures.categories] == [f"category{n:02d}" for n in range(10)]
    assert [row.recommendations for row in figures.brands] == list(range(20, 10, -1))
    assert (figures.unknown_categories, figures.unknown_brands) == (2, 2)


def test_outliers_share_the_last_bin(duck: Connection) -> None:
    rows = [(n, float(n % 100), "a", "b", 10.0, "als") for n in range(999)] + [(999, 1e6, "a", "b", 10.0, "als")]
    figures = recommendation_figures(table(duck, rows))
    assert figures.highest_score == 1e6
    assert figures.scores[-1].high == 99.0
    assert len(figures.scores) == BINS
    assert sum(bar.recommendations for bar in figures.scores) == 1000
    assert figures.prices == (Bin(low=10.0, high=10.0, recommendations=1000),)


def test_many_recommendations_of_a_user_are_counted_together(duck: Connection) -> None:
    rows = [(1, 0.1, "a", "b", 1.0, "als")] * (MOST_PER_USER + 5) + [(2, 0.1, "a", "b", 1.0, "als")] * MOST_PER_USER
    figures = recommendation_figures(table(duck, rows))
    assert figures.per_user == (PerUserRow(recommendations=MOST_PER_USER, users=2),)
    assert figures.per_user_cap == MOST_PER_USER


def test_no_recommendations(duck: Connection) -> None:
    figures = recommendation_figures(table(duck, []))
    assert (figures.recommendations, figures.users, figures.highest_price) == (0, 0, None)
    tables = (figures.scores, figures.prices, figures.grid, figures.categories, figures.brands, figures.sources)
    assert (*tables, figures.per_user) == ((),) * 7


def test_categories_without_names_are_shown_by_their_ids(duck: Connection) -> None:
    """By the shop's own id of a product, whether that is a number or a text."""
    lists = table(duck, [(1, 0.5, "unknown", "acme", None, "als"), (2, 0.1, None, "acme", None, "als")] * 2)
    known = [(100, None, "category 7"), (101, "a", None), (102, "b", "category 7"), (9, None, "category 8")]
    numbers, keys, categories = zip(*known, strict=True)
    products = duck.from_arrow(
        pa.table({"product_id": numbers, "product_key": keys, "category": pa.array(categories, pa.string())})
    )
    figures = recommendation_figures(with_category_ids(lists, products))
    assert (figures.recommendations, figures.unknown_categories) == (4, 2)
    assert [(row.name, row.recommendations) for row in figures.categories] == [("category 7", 2)]
    as_text = "case product_id when 100 then '100' when 101 then 'a' when 102 then 'b' else 'c' end"
    texts = lists.select(f"* replace ({as_text} as product_id)")
    figures = recommendation_figures(with_category_ids(texts, products))
    assert [(row.name, row.recommendations) for row in figures.categories] == [("category 7", 2)]
