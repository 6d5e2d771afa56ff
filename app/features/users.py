"""User features: recency, frequency, monetary value and behaviour."""

from datetime import datetime

from pyspark.sql import types as T

from app.core.duck import Relation, query
from app.events.vocabulary import UNKNOWN
from app.features.prices import price_levels

USER_SCHEMA = T.StructType(
    [
        T.StructField("user_id", T.LongType()),
        T.StructField("user_key", T.StringType()),  # the shop's own id; null where it is the number
        T.StructField("recency", T.IntegerType()),  # days from the last event to the end of the data
        T.StructField("frequency", T.LongType()),  # days with an event
        T.StructField("monetary", T.DoubleType()),  # paid, shop currency
        T.StructField("views", T.LongType()),
        T.StructField("carts", T.LongType()),
        T.StructField("purchases", T.LongType()),
        T.StructField("removals", T.LongType()),
        T.StructField("total_events", T.LongType()),
        T.StructField("sessions", T.LongType()),
        T.StructField("unique_products", T.LongType()),
        T.StructField("unique_categories", T.LongType()),
        T.StructField("unique_brands", T.LongType()),
        T.StructField("avg_price", T.DoubleType()),  # of the products looked at; null if none is known
        T.StructField("price_level", T.DoubleType()),  # of them, against what is usual in their categories; likewise
        T.StructField("conversion_rate", T.DoubleType()),  # purchases / views, 0..1
        T.StructField("cart_abandonment", T.DoubleType()),  # 0..1; null without a decided cart
        T.StructField("first_seen", T.TimestampType()),
        T.StructField("last_seen", T.TimestampType()),
    ]
)


def user_features(
    pairs: Relation,
    attributes: Relation,
    sessions: Relation,
    events: Relation,
    carts: Relation,
    ratios: Relation,
    as_of: datetime,
) -> Relation:
    """One row per user.

    Parameters
    ----------
    pairs
        `user_product_pairs`.
    attributes
        `product_attributes`; "unknown" is not counted as a category or brand.
    sessions
        `session_table`.
    events
        The events table.
    carts
        `cart_outcomes`.
    ratios
        `price_ratios`.
    as_of
        End of the data.

    Returns
    -------
    Relation
        `USER_SCHEMA`, in the order of users.
    """
    # More purchases than views happens (a view is lost, an order is repeated): a rate stays a rate.
    return query(
        f"""
        with sums as (
            select user_id,
                sum(views)::bigint as views, sum(carts)::bigint as carts, sum(purchases)::bigint as purchases,
                sum(removals)::bigint as removals,
                sum(views + carts + removals + purchases)::bigint as total_events,
                count(*) as unique_products,
                count(distinct nullif(category_code, '{UNKNOWN}')) as unique_categories,
                count(distinct nullif(brand, '{UNKNOWN}')) as unique_brands,
                sum(price_cents) / sum(prices) / 100 as avg_price,
                coalesce(sum(paid_cents), 0) / 100 as monetary,
                min(first_seen) as first_seen, max(last_seen) as last_seen, max(user_key) as user_key
            from pairs left join attributes using (product_id) group by user_id
        ),
        visits as (select user_id, count(*) as sessions from sessions group by user_id),
        days as (select user_id, count(distinct date) as frequency from events group by user_id)
        select user_id, user_key, date_diff('day', last_seen, timestamp '{as_of}')::int as recency, frequency,
            monetary::double as monetary, views, carts, purchases, removals, total_events, sessions,
            unique_products, unique_categories, unique_brands, avg_price::double as avg_price,
            price_level::double as price_level,
            case when views > 0 then least(purchases / views, 1.0) else 0.0 end::double as conversion_rate,
            (abandoned_pairs / carted_pairs)::double as cart_abandonment, first_seen, last_seen
        from sums left join visits using (user_id) left join days using (user_id) left join carts using (user_id)
            left join prices using (user_id)
        """,
        pairs=pairs,
        attributes=attributes,
        sessions=sessions,
        events=events,
        carts=carts,
        prices=price_levels(pairs, ratios),
    ).order("user_id")
