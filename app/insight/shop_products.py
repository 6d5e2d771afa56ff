"""The products of a shop as analysts cut them: by category, by band of prices."""

from app.core.duck import Relation, query
from app.events.vocabulary import UNKNOWN

TOP_CATEGORIES = 10  #: those with the most events have a number of their own, 0 …; all others share the next one
BANDS = ("cheap third", "middle third", "dear third")  #: of the products with a known price


def category_ids(events: Relation) -> Relation:
    """Products of a part by the id of their category: product_id, category_id."""
    return query(
        "select product_id, max(category_id) as category_id from events where category_id is not null "
        "group by product_id",
        events=events,
    )


def shop_products(products: Relation, ids: Relation, names: Relation) -> Relation:
    """Products that somebody has touched, each in its category and price band.

    Parameters
    ----------
    products
        `product_features`.
    ids
        `category_ids` of all parts, which stand in where names are missing.
    names
        `top_categories` of the same.

    Returns
    -------
    Relation
        product_id, product_key, title, brand, label (of the category; null where it is not known), category (int,
        in `names`, or as many as these are), avg_price, band (int, in `BANDS`; null without a price).
    """
    return query(
        f"""
        with named as ({_LABELLED}),
        cuts as (select quantile_disc(avg_price, [1 / 3, 2 / 3]) as cut from named)
        select product_id, product_key, title, brand, label, avg_price,
            coalesce(number, (select count(*) from names))::int as category,
            case when avg_price is null then null else (avg_price > cut[1])::int + (avg_price > cut[2])::int end as band
        from named left join names using (label), cuts
        """,
        products=products,
        ids=ids,
        names=names,
    ).order("product_id")


def top_categories(products: Relation, ids: Relation) -> Relation:
    """The categories with the most events: label, number (from 0); see `shop_products`."""
    return query(
        f"""
        select label, row_number() over (order by sum(total_events) desc, label) - 1 as number
        from ({_LABELLED}) where label is not null group by label
        qualify number < {TOP_CATEGORIES}
        """,
        products=products,
        ids=ids,
    )


_LABELLED = f"""
    select products.*, coalesce(nullif(category, '{UNKNOWN}'), 'category ' || category_id) as label
    from products left join (select product_id, max(category_id) as category_id from ids group by product_id)
        using (product_id)
    where total_events > 0
"""
