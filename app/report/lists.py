"""The section on the recommendation lists: the brief's eight charts."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.report import charts
from app.report.blocks import Block, Chart, Columns, Section, chart, table_of
from app.report.text import compact, count, decimal, label, percent
from app.report.theme import GREEN

Rows = Sequence[Mapping[str, Any]]
SCORE = "score (unitless)"
PRICE = "average price (shop currency)"


def section(data: Mapping[str, Any]) -> Section:
    """Charts of `recommendation_charts`' output."""
    total, users = data.get("recommendations") or 0, data.get("users") or 0
    intro = f"{count(total)} recommended products in the lists of {count(users)} users."
    blocks: list[Block] = [
        score_distribution(data),
        price_distribution(data),
        most_recommended(data, "categories", "main_category"),
        most_recommended(data, "brands", "brand"),
        mean_scores(data, "categories", "main_category"),
        mean_scores(data, "brands", "brand"),
        score_by_price(data),
        per_user(data),
        sources(data),
    ]
    return Section("recommendations", "Recommendations", intro, blocks)


def _bins(title: str, rows: Rows, highest: float | None, axis: str, caption: str) -> Chart:
    if not rows:
        return chart(title)
    beyond = highest is not None and highest > rows[-1]["high"]
    if beyond:
        caption += f" The grey bar holds everything from {compact(rows[-1]['low'])} to {compact(highest)}."
    figure = charts.histogram(
        [row["low"] for row in rows],
        [row["high"] for row in rows],
        [row["recommendations"] for row in rows],
        axis,
        "recommendations",
        beyond,
    )
    columns: Columns = {
        "low": ("From", lambda value: decimal(value, 4)),
        "high": ("To", lambda value: decimal(value, 4)),
        "recommendations": ("Recommendations", count),
    }
    return chart(title, caption, figure, table_of(rows, columns))


def score_distribution(data: Mapping[str, Any]) -> Chart:
    """How scores are distributed."""
    caption = "How many recommendations have each score; scores order a list and have no unit."
    return _bins("Distribution of scores", data.get("scores") or [], data.get("highest_score"), SCORE, caption)


def price_distribution(data: Mapping[str, Any]) -> Chart:
    """How prices of recommended products are distributed."""
    caption = f"How many recommendations have each price; {count(data.get('without_price'))} have none."
    return _bins("Distribution of prices", data.get("prices") or [], data.get("highest_price"), PRICE, caption)


def most_recommended(data: Mapping[str, Any], plural: str, key: str) -> Chart:
    """The ten categories or brands recommended most."""
    title = f"Most recommended {plural}"
    rows = data.get(plural) or []
    if not rows:
        return chart(title)
    unknown = (data.get("unknown") or {}).get(plural) or 0
    total = data["recommendations"]
    texts = [f"{count(row['recommendations'])} ({percent(row['recommendations'] / total)})" for row in rows]
    panel = charts.Panel("recommendations", [row["recommendations"] for row in rows], texts)
    return chart(
        title,
        f"Share of all recommendations in brackets; {count(unknown)} ({percent(unknown / total)}) are of "
        f"products whose {key.replace('_', ' ')} is unknown.",
        charts.bars([str(row[key]) for row in rows], [panel]),
        table_of(
            rows,
            {
                key: (key.replace("_", " ").capitalize(), str),
                "recommendations": ("Recommendations", count),
                "mean_score": ("Mean score", lambda value: decimal(value, 4)),
            },
        ),
    )


def mean_scores(data: Mapping[str, Any], plural: str, key: str) -> Chart:
    """Mean score of the ten most recommended categories or brands."""
    title = f"Mean score by {key.replace('_', ' ')}"
    rows = [row for row in data.get(plural) or [] if row.get("mean_score") is not None]
    rows.sort(key=lambda row: (-row["mean_score"], str(row[key])))
    if not rows:
        return chart(title)
    texts = [decimal(row["mean_score"], 4) for row in rows]
    panel = charts.Panel(f"mean {SCORE}", [row["mean_score"] for row in rows], texts, colours=GREEN)
    return chart(
        title,
        f"Of the most recommended {plural}, {label(rows[0][key])} has the highest mean score.",
        charts.bars([str(row[key]) for row in rows], [panel]),
    )


def score_by_price(data: Mapping[str, Any]) -> Chart:
    """Score against price."""
    title = "Score against price"
    scores, prices = data.get("scores") or [], data.get("prices") or []
    cells = {(row["price_bin"], row["score_bin"]): row["recommendations"] for row in data.get("grid") or []}
    if not cells or len(scores) < 2 or len(prices) < 2:
        return chart(title, "Score and price must both differ between recommendations." if cells else "")
    return chart(
        title,
        "Where recommendations fall in price and score, on a logarithmic colour scale; the outermost cells "
        "also hold what lies beyond them.",
        charts.density(
            [*(row["low"] for row in prices), prices[-1]["high"]],
            [*(row["low"] for row in scores), scores[-1]["high"]],
            cells,
            PRICE,
            SCORE,
            "recommendations",
        ),
    )


def per_user(data: Mapping[str, Any]) -> Chart:
    """How many recommendations users have."""
    title = "Recommendations per user"
    rows = data.get("per_user") or []
    if not rows:
        return chart(title)
    cap = data.get("per_user_cap")
    users = {row["recommendations"]: row["users"] for row in rows}
    sizes = range(1, max(users) + 1)
    names = [f"{size}+" if size == cap else str(size) for size in sizes]
    total = sum(row["users"] for row in rows)
    most = max(rows, key=lambda row: row["users"])
    return chart(
        title,
        f"{percent(most['users'] / total)} of users have {most['recommendations']} recommendations.",
        charts.columns(names, [users.get(size, 0) for size in sizes], "recommendations of the user", "users"),
        table_of(rows, {"recommendations": ("Recommendations", count), "users": ("Users", count)}),
    )


def sources(data: Mapping[str, Any]) -> Block:
    """Which generator each recommendation came from."""
    total = data.get("recommendations") or 0
    rows = [{**row, "share": row["recommendations"] / total} for row in data.get("sources") or []]
    columns: Columns = {
        "source": ("Source", str),
        "recommendations": ("Recommendations", count),
        "share": ("Share", percent),
        "mean_score": ("Mean score", lambda value: decimal(value, 4)),
    }
    return table_of(rows, columns, title="Recommendations by source", wide=True)
