"""How products do: views, how readily viewers put them into the cart and buy them, revenue, and which stand out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import types as T

from app.core.duck import Connection, Relation, query
from app.events.vocabulary import CART, PURCHASE, VIEW
from app.insight.behaviour_results import Performance, ProductRow, ShopRate
from app.insight.shrinkage import fit_prior, rate_of

TOP = 10  #: products named
#: What a viewer may do → column of those who do.
RATES = {CART: "carters", PURCHASE: "buyers"}

#: The stored table.
PERFORMANCE_SCHEMA = T.StructType(
    [
        T.StructField("product_id", T.LongType()),
        T.StructField("product_key", T.StringType()),  # the shop's own id; null where it is the number
        T.StructField("title", T.StringType()),  # of the catalogue; null without one
        T.StructField("category", T.StringType()),  # main category, else "category <id>", else null
        T.StructField("brand", T.StringType()),
        T.StructField("avg_price", T.DoubleType()),  # null where none is known
        T.StructField("views", T.LongType()),  # events, like carts and purchases
        T.StructField("carts", T.LongType()),
        T.StructField("purchases", T.LongType()),
        T.StructField("revenue", T.DoubleType()),  # null where no purchase has a price
        T.StructField("viewers", T.LongType()),  # users who viewed it
        T.StructField("carters", T.LongType()),  # of these, users who put it into the cart
        T.StructField("buyers", T.LongType()),  # of these, users who bought it
        T.StructField("cart_rate", T.DoubleType()),  # smoothed; null without viewers, and so are its ends
        T.StructField("cart_rate_low", T.DoubleType()),
        T.StructField("cart_rate_high", T.DoubleType()),
        T.StructField("purchase_rate", T.DoubleType()),
        T.StructField("purchase_rate_low", T.DoubleType()),
        T.StructField("purchase_rate_high", T.DoubleType()),
        T.StructField("stands_out", T.StringType()),  # "above" or "below": by the purchase rate; else null
    ]
)


def product_performance(
    connection: Connection, products: Relation, events: Sequence[str]
) -> tuple[Relation, tuple[ShopRate, ...]]:
    """One row per product that somebody has touched, and the rates of the shop.

    Parameters
    ----------
    connection
        Of the relation.
    products
        `app.insight.shop_products.shop_products`.
    events
        Event types that the log has.

    Returns
    -------
    Relation, tuple of ShopRate
        `PERFORMANCE_SCHEMA`, in the order of products.
    """
    table = products.select("* replace (label as category)")
    rates = []
    for event, successes in RATES.items():
        posterior = None
        if VIEW in events and event in events:
            rate, posterior = _posterior(connection, table, event)
            rates += [rate] if rate.viewers else []
        table = _with_rate(table, successes, f"{event}_rate", posterior)
    apart = next((_apart(rate) for rate in rates if rate.event == PURCHASE), "null::varchar")
    return (
        table.select(f"*, {apart} as stands_out").select(", ".join(PERFORMANCE_SCHEMA.names)).order("product_id"),
        tuple(rates),
    )


def _posterior(connection: Connection, table: Relation, event: str) -> tuple[ShopRate, Relation]:
    """The shop's rate, and that of each product: viewers, successes, mean, low, high.

    Products of equal counts have the same; these are a fraction of all products.
    """
    equal = table.filter("viewers > 0").aggregate(f"viewers, {RATES[event]} as successes, count(*) as products")
    viewers, successes, products = equal.order("viewers, successes").fetchnumpy().values()
    rate, prior = rate_of(viewers, successes, products), fit_prior(viewers, successes, products)
    unknown = np.full(len(viewers), np.nan)
    mean, low, high = prior.posterior(viewers, successes) if prior else (np.full(len(viewers), rate), unknown, unknown)
    figures = ShopRate(
        event=event,
        products=int(products.sum()),
        viewers=int((viewers * products).sum()),
        rate=rate,
        alpha=prior.alpha if prior else None,
        beta=prior.beta if prior else None,
        above=int(products[low > rate].sum()),
        below=int(products[high < rate].sum()),
    )
    columns = {"viewers": viewers, "successes": successes, "mean": mean, "low": low, "high": high}
    found = pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()})  # NaN is null
    return figures, connection.from_arrow(found)


def _with_rate(table: Relation, successes: str, name: str, posterior: Relation | None) -> Relation:
    """The products with a rate and its ends; null where it is not known."""
    if posterior is None:
        return table.select(f"*, null::double as {name}, null::double as {name}_low, null::double as {name}_high")
    return query(
        f"""
        select found.*, mean as {name}, low as {name}_low, high as {name}_high
        from found left join posterior on found.viewers = posterior.viewers and {successes} = successes
        """,
        found=table,
        posterior=posterior,
    )


def _apart(shop: ShopRate) -> str:
    return (
        f"case when purchase_rate_low > {shop.rate!r}::double then 'above' "
        f"when purchase_rate_high < {shop.rate!r}::double then 'below' end"
    )


def performance(table: Relation, rates: tuple[ShopRate, ...]) -> Performance:
    """The products to look at, from `product_performance`."""
    sold = "revenue desc nulls last, purchases desc, product_id"
    return Performance(
        products=len(table),
        rates=rates,
        above=_rows(table.filter("stands_out = 'above'").order("purchase_rate_low desc, product_id")),
        below=_rows(table.filter("stands_out = 'below'").order("purchase_rate_high, product_id")),
        best_sellers=_rows(table.filter("purchases > 0").order(sold)),
    )


def _rows(table: Relation) -> tuple[ProductRow, ...]:
    columns = (
        "coalesce(title, product_key, product_id::varchar), category, viewers, buyers, purchase_rate, "
        "purchase_rate_low, purchase_rate_high, purchases, revenue"
    )
    return tuple(
        ProductRow(
            product=name,
            category=category,
            viewers=viewers,
            buyers=buyers,
            purchase_rate=rate,
            low=low,
            high=high,
            purchases=purchases,
            revenue=revenue,
        )
        for name, category, viewers, buyers, rate, low, high, purchases, revenue in table.limit(TOP)
        .select(columns)
        .fetchall()
    )
