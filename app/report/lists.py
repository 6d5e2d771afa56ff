"""The section on the recommendation lists."""

from collections.abc import Sequence

from app.insight.results import Bin, RecommendationFigures, RecommendedRow
from app.report import charts, grids
from app.report.blocks import Block, Chart, Section, chart, table_of
from app.report.text import compact, count, decimal, label, percent, score
from app.report.theme import GREEN

SCORE = "score (unitless)"
PRICE = "average price (shop currency)"


def section(figures: RecommendationFigures) -> Section:
    """Charts of the lists for active users."""
    intro = f"{count(figures.recommendations)} recommended products in the lists of {count(figures.users)} users."
    sizes = {row.recommendations for row in figures.per_user}
    if len(sizes) == 1:
        intro += f" Each has {count(*sizes)}."
    blocks: list[Block] = [
        score_distribution(figures),
        price_distribution(figures),
        most_recommended(figures, figures.categories, figures.unknown_categories, "categories", "main category"),
        most_recommended(figures, figures.brands, figures.unknown_brands, "brands", "brand"),
        mean_scores(figures.categories, "categories", "main category"),
        mean_scores(figures.brands, "brands", "brand"),
        score_by_price(figures),
        *([per_user(figures)] if len(sizes) != 1 else []),
        sources(figures),
    ]
    return Section("recommendations", "What is recommended?", intro, blocks)


def _bins(title: str, rows: Sequence[Bin], highest: float | None, axis: str, caption: str) -> Chart:
    if not rows:
        return chart(title)
    beyond = highest is not None and highest > rows[-1].high
    if beyond:
        caption += f" The grey bar holds everything from {compact(rows[-1].low)} to {compact(highest)}."
    figure = charts.histogram(
        [row.low for row in rows],
        [row.high for row in rows],
        [row.recommendations for row in rows],
        axis,
        "recommendations",
        beyond,
    )
    table = table_of(
        rows,
        [
            ("From", lambda row: decimal(row.low, 4)),
            ("To", lambda row: decimal(row.high, 4)),
            ("Recommendations", lambda row: count(row.recommendations)),
        ],
    )
    return chart(title, caption, figure, table)


def score_distribution(figures: RecommendationFigures) -> Chart:
    """How scores are distributed."""
    caption = "How many recommendations have each score; scores order a list and have no unit."
    return _bins("Distribution of scores", figures.scores, figures.highest_score, SCORE, caption)


def price_distribution(figures: RecommendationFigures) -> Chart:
    """How prices of recommended products are distributed."""
    none = f"; {count(figures.without_price)} have none" * (figures.without_price > 0)
    caption = f"How many recommendations have each price{none}."
    return _bins("Distribution of prices", figures.prices, figures.highest_price, PRICE, caption)


def most_recommended(
    figures: RecommendationFigures, rows: Sequence[RecommendedRow], unknown: int, plural: str, kind: str
) -> Chart:
    """The ten categories or brands recommended most."""
    title = f"Most recommended {plural}"
    if not rows:
        return chart(title)
    total = figures.recommendations
    texts = [f"{count(row.recommendations)} ({percent(row.recommendations / total)})" for row in rows]
    panel = charts.Panel("recommendations", [row.recommendations for row in rows], texts)
    others = f"; {count(unknown)} ({percent(unknown / total)}) are of products whose {kind} is unknown"
    return chart(
        title,
        f"Share of all recommendations in brackets{others * (unknown > 0)}.",
        charts.bars([row.name for row in rows], [panel]),
        table_of(
            rows,
            [
                (kind.capitalize(), lambda row: row.name),
                ("Recommendations", lambda row: count(row.recommendations)),
                ("Mean score", lambda row: score(row.mean_score)),
            ],
        ),
    )


def mean_scores(rows: Sequence[RecommendedRow], plural: str, kind: str) -> Chart:
    """Mean score of the ten most recommended categories or brands."""
    title = f"Mean score by {kind}"
    scored = [(row.mean_score, row.name) for row in rows if row.mean_score is not None]
    if not scored:
        return chart(title)
    scored.sort(key=lambda row: (-row[0], row[1]))
    panel = charts.Panel(
        f"mean {SCORE}", [mean for mean, _ in scored], [score(mean) for mean, _ in scored], colours=GREEN
    )
    return chart(
        title,
        f"Of the most recommended {plural}, {label(scored[0][1])} has the highest mean score.",
        charts.bars([name for _, name in scored], [panel]),
    )


def score_by_price(figures: RecommendationFigures) -> Chart:
    """Score against price."""
    title = "Score against price"
    scores, prices = figures.scores, figures.prices
    cells = {(cell.price_bin, cell.score_bin): cell.recommendations for cell in figures.grid}
    if not cells or len(scores) < 2 or len(prices) < 2:
        return chart(title, "Score and price must both differ between recommendations." if cells else "")
    return chart(
        title,
        "Where recommendations fall in price and score, on a logarithmic colour scale; the outermost cells "
        "also hold what lies beyond them.",
        grids.density(
            [*(row.low for row in prices), prices[-1].high],
            [*(row.low for row in scores), scores[-1].high],
            cells,
            PRICE,
            SCORE,
            "recommendations",
        ),
    )


def per_user(figures: RecommendationFigures) -> Chart:
    """How many recommendations users have."""
    title = "Recommendations per user"
    rows = figures.per_user
    if not rows:
        return chart(title)
    users = {row.recommendations: row.users for row in rows}
    sizes = range(1, max(users) + 1)
    names = [f"{size}+" if size == figures.per_user_cap else str(size) for size in sizes]
    total = sum(row.users for row in rows)
    most = max(rows, key=lambda row: row.users)
    return chart(
        title,
        f"{percent(most.users / total)} of users have {most.recommendations} recommendations.",
        charts.columns(names, [users.get(size, 0) for size in sizes], "recommendations of the user", "users"),
        table_of(
            rows,
            [
                ("Recommendations", lambda row: count(row.recommendations)),
                ("Users", lambda row: count(row.users)),
            ],
        ),
    )


def sources(figures: RecommendationFigures) -> Block:
    """Which generator each recommendation came from."""
    total = figures.recommendations
    return table_of(
        figures.sources,
        [
            ("Source", lambda row: row.name),
            ("Recommendations", lambda row: count(row.recommendations)),
            ("Share", lambda row: percent(row.recommendations / total)),
            ("Mean score", lambda row: score(row.mean_score)),
        ],
        title="Recommendations by source",
        wide=True,
    )
