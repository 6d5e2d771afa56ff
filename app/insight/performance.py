"""How products do: views, how readily viewers put them into the cart and buy them, revenue, and which stand out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import types as T

from app.core.duck import Connection, Relation, query
from app.insight.behaviour_results import Performance, ProductRow, ShopRate
from app.insight.shrinkage import Trials, fit_prior

TOP = 10  #: products named
CARTED, BOUGHT = "carters", "buyers"  #: columns of successes; trials are `viewers`
RATES = {"cart": CARTED, "purchase": BOUGHT}

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
        T.StructField("revenue", T.DoubleType()),  # null where no price is known
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


def product_counts(pairs: Relation) -> Relation:
    """What the users of a part did with each product.

    Parameters
    ----------
    pairs
        `user_product_pairs`.

    Returns
    -------
    Relation
        product_id, views, carts, purchases, paid_cents (null without a price), viewers, carters and buyers (of the
        viewers).
    """
    return query(
        f"""
        select product_id, sum(views)::bigint as views, sum(carts)::bigint as carts,
            sum(purchases)::bigint as purchases, sum(paid_cents)::bigint as paid_cents,
            count(*) filter (views > 0) as viewers,
            count(*) filter (views > 0 and carts > 0) as {CARTED},
            count(*) filter (views > 0 and purchases > 0) as {BOUGHT}
        from pairs group by product_id
        """,
        pairs=pairs,
    )


def product_performance(
    connection: Connection, counts: Relation, products: Relation, events: Sequence[str]
) -> tuple[Relation, tuple[ShopRate, ...]]:
    """One row per product that somebody has touched, and the rates of the shop.

    Parameters
    ----------
    connection
        Of the relations.
    counts
        `product_counts` of all parts.
    products
        `app.insight.shop_products.shop_products`.
    events
        Event types that the log has.

    Returns
    -------
    Relation, tuple of ShopRate
        `PERFORMANCE_SCHEMA`, in the order of products.
    """
    names = ("views", "carts", "purchases", "viewers", CARTED, BOUGHT)
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in names)
    found = query(
        f"""
        select products.*, counted.* exclude (product_id) from products join (
            select product_id, {sums}, sum(paid_cents) / 100 as revenue from counts group by product_id
        ) as counted using (product_id)
        """,
        products=products,
        counts=counts,
    )
    rates = []
    for event, successes in RATES.items():
        known = "view" in events and event in events
        found, rate = _with_rate(connection, found, event, successes, known)
        rates += [rate] if rate else []
    columns = ", ".join(f"{name}" for name in PERFORMANCE_SCHEMA.names if name not in ("category", "stands_out"))
    shop = next((rate.rate for rate in rates if rate.event == "purchase"), None)
    apart = "null::varchar"
    if shop is not None:
        apart = (
            f"case when purchase_rate_low > {shop!r}::double then 'above' "
            f"when purchase_rate_high < {shop!r}::double then 'below' end"
        )
    table = found.select(f"{columns}, label as category, {apart} as stands_out").select(
        ", ".join(PERFORMANCE_SCHEMA.names)
    )
    return table.order("product_id"), tuple(rates)


def _with_rate(
    connection: Connection, found: Relation, event: str, successes: str, known: bool
) -> tuple[Relation, ShopRate | None]:
    """The products with the columns of a rate."""
    name = f"{event}_rate"
    columns = [name, f"{name}_low", f"{name}_high"]
    sums = (
        f"count(*), coalesce(sum(viewers), 0)::bigint, coalesce(sum({successes}), 0)::bigint, "
        f"coalesce(fsum(viewers::double * viewers), 0), coalesce(fsum({successes}::double * {successes} / viewers), 0)"
    )
    (row,) = found.filter("viewers > 0").aggregate(sums).fetchall()
    all_of = Trials(*row)
    if not known or not all_of.trials:
        nulls = ", ".join(f"null::double as {column}" for column in columns)
        return found.select(f"*, {nulls}"), None
    prior, rate = fit_prior(all_of), all_of.rate
    if prior is None:  # products do not differ: each has the rate of all
        fixed = f"{rate!r}::double"
        values = (f"case when viewers > 0 then {fixed} end", "null::double", "null::double")
        shown = ", ".join(f"{value} as {column}" for value, column in zip(values, columns, strict=True))
        return found.select(f"*, {shown}"), _shop_rate(event, all_of, None, None, 0, 0)
    # Products of equal counts have the same posterior, and these are a tenth of all products or fewer.
    equal = found.filter("viewers > 0").aggregate(f"viewers, {successes}, count(*) as n").order(f"viewers, {successes}")
    counted = equal.fetchnumpy()
    mean, low, high = prior.posterior(counted["viewers"], counted[successes])
    posterior = pa.table({"viewers": counted["viewers"], successes: counted[successes], **dict(zip(columns, (mean, low, high), strict=True))})
    joined = query(
        f"select * from found left join posterior using (viewers, {successes})",
        found=found,
        posterior=connection.from_arrow(posterior),
    )
    above, below = (int(counted["n"][apart].sum()) for apart in (low > rate, high < rate))
    return joined, _shop_rate(event, all_of, prior.alpha, prior.beta, above, below)


def _shop_rate(
    event: str, found: Trials, alpha: float | None, beta: float | None, above: int, below: int
) -> ShopRate:
    return ShopRate(
        event=event,
        products=found.groups,
        viewers=found.trials,
        rate=found.rate,
        alpha=alpha,
        beta=beta,
        above=above,
        below=below,
    )


def performance(table: Relation, rates: tuple[ShopRate, ...], priced: bool) -> Performance:
    """The products to look at, from `product_performance`; `priced`: whether prices are known."""
    sold = f"{'coalesce(revenue, 0) desc, ' if priced else ''}purchases desc, product_id"
    return Performance(
        products=len(table),
        rates=rates,
        above=_rows(table.filter("stands_out = 'above'").order("purchase_rate_low desc, product_id"), priced),
        below=_rows(table.filter("stands_out = 'below'").order("purchase_rate_high, product_id"), priced),
        best_sellers=_rows(table.filter("purchases > 0").order(sold), priced),
    )


def _rows(table: Relation, priced: bool) -> tuple[ProductRow, ...]:
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
            revenue=(revenue or 0.0) if priced else None,
        )
        for name, category, viewers, buyers, rate, low, high, purchases, revenue in table.limit(TOP)
        .select(columns)
        .fetchall()
    )
