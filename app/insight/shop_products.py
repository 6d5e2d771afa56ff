"""The products of a shop as analysts cut them: by category, by band of prices."""

from app.core.duck import Relation, query
from app.events.vocabulary import UNKNOWN

TOP_CATEGORIES = 10  #: those with the most events have a number of their own, 0 …; all others share the next one
BANDS = ("cheap third", "middle third", "dear third")  #: of the products with a known price


def labelled_products(attributes: Relation, sums: Relation, words: Relation) -> Relation:
    """Products that somebody has touched, with what was done with them.

    Parameters
    ----------
    attributes
        `product_attributes`.
    sums
        `app.features.products.product_sums` of all parts.
    words
        `app.features.products.product_words` of all parts, whose ids of categories stand in where names are missing.

    Returns
    -------
    Relation
        product_id, product_key, title, brand, label (of the main category; null where it is not known), avg_price
        (mean of known prices, else the catalogue's), events, views, carts, purchases, viewers, carters, buyers,
        revenue (null where no price is known).
    """
    summed = ("events", "views", "carts", "purchases", "viewers", "carters", "buyers")
    return query(
        f"""
        with counted as (
            select product_id, {", ".join(f"sum({name})::bigint as {name}" for name in summed)},
                sum(paid_cents) / 100 as revenue, sum(price_cents) / sum(prices) / 100 as mean_price
            from sums group by product_id
        ),
        numbered as (select product_id, max(category_id) as category_id from words group by product_id)
        select product_id, product_key, title, brand,
            coalesce(nullif(split_part(category_code, '.', 1), '{UNKNOWN}'), 'category ' || category_id) as label,
            coalesce(mean_price, price)::double as avg_price, {", ".join(summed)}, revenue
        from attributes join counted using (product_id) left join numbered using (product_id)
        """,
        attributes=attributes,
        sums=sums,
        words=words,
    )


def top_categories(products: Relation) -> Relation:
    """The categories with the most events: label, number (from 0)."""
    return query(
        f"""
        select label, row_number() over (order by sum(events) desc, label) - 1 as number
        from products where label is not null group by label qualify number < {TOP_CATEGORIES}
        """,
        products=products,
    )


def shop_products(products: Relation, names: Relation) -> Relation:
    """Each product in its category and price band.

    Parameters
    ----------
    products
        `labelled_products`.
    names
        `top_categories` of the same.

    Returns
    -------
    Relation
        The columns of `products`, in their order; category (int, in `names`, or as many as these are) and band (int, in
        `BANDS`; null without a price, and where prices differ too little to be cut in thirds).
    """
    return query(
        """
        with cuts as (select quantile_disc(avg_price, [1 / 3, 2 / 3, 1]) as cut from products)
        select products.*, coalesce(number, (select count(*) from names))::int as category,
            case when avg_price is not null and cut[1] < cut[2] and cut[2] < cut[3]
                then (avg_price > cut[1])::int + (avg_price > cut[2])::int end as band
        from products left join names using (label), cuts
        """,
        products=products,
        names=names,
    ).order("product_id")
