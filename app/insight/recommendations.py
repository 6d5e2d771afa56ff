"""The numbers behind the charts of recommendations, from their table."""

from typing import Any

from app.core import duck
from app.core.duck import Relation, query
from app.events.vocabulary import UNKNOWN
from app.insight.results import Bin, Cell, PerUserRow, RecommendationFigures, RecommendedRow

BINS = 40  #: bars of a histogram, and cells along each side of the grid
TOP = 10
TAIL = 0.995  #: values above this quantile share the last bin, so that outliers don't squeeze the rest
MOST_PER_USER = 50  #: users with as many recommendations or more are counted together

Row = dict[str, Any]
COLUMNS = ("main_category", "brand", "source", "score_bin", "price_bin")
#: `grouping` of each grouping set: a bit of 1 for each of COLUMNS that is not in the set.
CATEGORIES, BRANDS, SOURCES, GRID = 0b01111, 0b10111, 0b11011, 0b11100


def recommendation_figures(recommendations: Relation) -> RecommendationFigures:
    """Summarise a table of recommendations in three passes.

    Parameters
    ----------
    recommendations
        Uses `user_id`, `rec_score` (double), `recommended_category_code`, `main_brand`, `avg_price`
        (double, shop currency) and `source`; one row a recommended product.
    """
    table = recommendations.select(
        f"""
        user_id, coalesce(split_part(recommended_category_code, '.', 1), '{UNKNOWN}') as main_category,
        coalesce(main_brand, '{UNKNOWN}') as brand, coalesce(source, '{UNKNOWN}') as source,
        case when not isnan(rec_score) then rec_score end as score,
        case when not isnan(avg_price) then avg_price end as price
        """
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


def with_category_ids(recommendations: Relation, performance: Relation) -> Relation:
    """The same with categories by their ids, in a shop that has no names for them.

    Parameters
    ----------
    recommendations
        As for `recommendation_figures`.
    performance
        `app.insight.performance.PERFORMANCE_SCHEMA`.
    """
    number, text = "performance.product_id", recommendations.select("product_id").types == ["VARCHAR"]
    own_id = f"coalesce(product_key, {number}::varchar)" if text else number
    return query(
        f"""
        select lists.* replace (category as recommended_category_code)
        from lists left join performance on lists.product_id = {own_id}
        """,
        lists=recommendations,
        performance=performance,
    )


def _extent(table: Relation) -> Row:
    """First pass: counts, smallest, largest and the quantile that bounds the bins."""
    ends = ", ".join(f"min({name}) as {name}_min, max({name}) as {name}_max" for name in ("score", "price"))
    (row,) = duck.rows(table.aggregate(f"count(*) as recommendations, count(price) as priced, {ends}"))
    return row | {f"{name}_tail": _tail(table, name) for name in ("score", "price")}


def _tail(table: Relation, name: str) -> float | None:
    """The value that a share of `TAIL` does not exceed."""
    value = duck.quantile(table.filter(f"{name} is not null").aggregate(f"{name}, count(*) as times"), name, TAIL)
    return None if value is None else float(value)


def _edges(extent: Row, name: str) -> list[float]:
    """Edges of the bins, ascending: none where there is no value, two equal where all are the same."""
    low, tail, high = (extent[f"{name}_{suffix}"] for suffix in ("min", "tail", "max"))
    if low is None:
        return []
    top = tail if tail > low else high
    if top == low:
        return [low, low]
    return [low + (top - low) * step / BINS for step in range(BINS)] + [top]


def _bin(name: str, edges: list[float]) -> str:
    """Number of the value's bin; null where there is no value."""
    if len(edges) < 3:  # a single value: no bins
        return f"case when {name} is not null then 0 end"
    low, width = edges[0], (edges[-1] - edges[0]) / BINS
    place = f"least(floor(({name} - {low!r}::double) / {width!r}::double), {BINS - 1})::int"
    return f"case when {name} is not null then {place} end"  # `least` skips nulls


def _groups(table: Relation, scores: list[float], prices: list[float]) -> list[Row]:
    """Second pass: counts and mean scores by category, brand, source and cell of the grid."""
    binned = table.select(f"*, {_bin('score', scores)} as score_bin, {_bin('price', prices)} as price_bin")
    # "unknown" comes first, so that it takes no place of the ten.
    grouped = query(
        f"""
        select * from (
            select grouping({", ".join(COLUMNS)}) as kind, {", ".join(COLUMNS)}, count(*) as recommendations,
                favg(score) as mean_score, coalesce(main_category, brand, source) as name
            from binned
            group by grouping sets ((main_category), (brand), (source), (score_bin, price_bin))
        )
        qualify kind = {GRID} or row_number() over (
            partition by kind order by name = '{UNKNOWN}' desc nulls last, recommendations desc, name
        ) <= {TOP + 1}
        """,
        binned=binned,
    )
    return duck.rows(grouped)


def _per_user(table: Relation) -> tuple[PerUserRow, ...]:
    """Third pass: how many users have how many recommendations."""
    counts = table.aggregate(f"user_id, least(count(*), {MOST_PER_USER}) as recommendations")
    users = counts.aggregate("recommendations, count(*) as users").order("recommendations")
    return tuple(PerUserRow(**row) for row in duck.rows(users))


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
