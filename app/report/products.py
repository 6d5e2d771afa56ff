"""The section on products: which convert unusually well, which badly, and what sells best."""

from collections.abc import Callable, Sequence

from app.insight.behaviour_results import Performance, ProductRow, ShopRate
from app.report import charts
from app.report.blocks import Block, Chart, Section, Table, chart, table_of
from app.report.text import count, decimal, label, percent, percent_tick
from app.report.theme import BLUE, GREEN, ORANGE

TITLE = "Which products convert unusually well?"


def section(found: Performance) -> Section:
    """Products that stand out by their purchase rate, and those that sell best."""
    blocks: list[Block] = []
    purchase = next((rate for rate in found.rates if rate.event == "purchase"), None)
    if purchase is not None:
        blocks += [
            standing_out(rows, purchase, how, colour)
            for rows, how, colour in ((found.above, "more", GREEN), (found.below, "less", ORANGE))
            if rows
        ]
    if found.best_sellers:
        blocks.append(best_sellers(found.best_sellers))
    return Section("products", TITLE, _intro(found, purchase), blocks)


def _intro(found: Performance, purchase: ShopRate | None) -> str:
    if purchase is None:
        lacks = "views" if found.best_sellers else "purchases"
        return f"How readily products are bought can't be told, since the log has no {lacks}."
    told = [
        f"Of those who view a product {percent(purchase.rate)} buy it. Each product's rate is drawn towards this one, "
        "the more, the fewer have viewed it; it stands out where its 95 % interval lies apart."
    ]
    cart = next((rate for rate in found.rates if rate.event == "cart"), None)
    if cart is not None:
        told.append(f"{percent(cart.rate)} put it into the cart.")
    if purchase.alpha is None:
        told.append("Products do not differ beyond chance, so none stands out.")
    else:
        told.append(
            f"Of {count(purchase.products)} products that somebody has viewed {count(purchase.above)} are bought more "
            f"readily, {count(purchase.below)} less. All of them are in the table product_performance."
        )
    return " ".join(told)


def standing_out(rows: Sequence[ProductRow], shop: ShopRate, how: str, colour: str) -> Chart:
    """Purchase rates with their intervals, beside the shop's."""
    names = [_name(row) for row in rows]
    series = {
        "product": [charts.Dot(row.purchase_rate, row.low, row.high, colour) for row in rows],
        "whole shop": [charts.Dot(shop.rate, None, None, BLUE) for _ in rows],
    }
    return chart(
        f"Bought {how} readily than others",
        f"The surest first: {names[0]} is bought by {count(rows[0].buyers)} of {count(rows[0].viewers)} viewers, "
        f"smoothed {percent(rows[0].purchase_rate)}; in the whole shop it is {percent(shop.rate)}.",
        charts.intervals(names, {"viewers who buy (%), 95 % interval": series}, percent_tick),
        _table(rows),
    )


def _name(row: ProductRow) -> str:
    return f"{label(row.product)} ({label(row.category, 16)})" if row.category else label(row.product)


def _table(rows: Sequence[ProductRow]) -> Table:
    named = _named(rows)
    return table_of(
        rows,
        [
            *named,
            ("Viewers", lambda row: count(row.viewers)),
            ("Buyers", lambda row: count(row.buyers)),
            ("Rate, smoothed", lambda row: percent(row.purchase_rate)),
            ("From", lambda row: percent(row.low)),
            ("To", lambda row: percent(row.high)),
        ],
        left=range(len(named)),
    )


def _named(rows: Sequence[ProductRow]) -> list[tuple[str, Callable[[ProductRow], str]]]:
    """Columns that say which product it is; a category where any is known."""
    category = [("Category", lambda row: row.category or "")] if any(row.category for row in rows) else []
    return [("Product", lambda row: label(row.product, 60)), *category]


def best_sellers(rows: Sequence[ProductRow]) -> Table:
    """The products with the most revenue, else the most purchases."""
    priced = any(row.revenue is not None for row in rows)
    named = _named(rows)
    columns = [
        *named,
        ("Purchases", lambda row: count(row.purchases)),
    ]
    if priced:
        columns.append(("Revenue (shop currency)", lambda row: decimal(row.revenue)))
    if any(row.viewers for row in rows):
        columns += [
            ("Viewers", lambda row: count(row.viewers)),
            ("Viewers who buy, smoothed", lambda row: percent(row.purchase_rate)),
        ]
    return table_of(
        rows,
        columns,
        left=range(len(named)),
        title="What sells best",
        caption=f"The products with the most {'revenue' if priced else 'purchases'}.",
    )
