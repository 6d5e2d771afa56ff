"""Product features: counts, attributes and popularity.

`product_sums`, `product_recency` and `product_words` speak of the users of a part, and are small; the others put the
parts together.
"""

from datetime import datetime

from pyspark.sql import types as T

from app.core.duck import Relation, query
from app.events.vocabulary import PURCHASE, REMOVE, UNKNOWN

LATELY = {"day": 1, "week": 7}  #: days at the end of a slice that are told apart

PRODUCT_SCHEMA = T.StructType(
    [
        T.StructField("product_id", T.LongType()),
        T.StructField("product_key", T.StringType()),  # the shop's own id; null where it is the number
        T.StructField("title", T.StringType()),  # of the catalogue; null without one
        T.StructField("category_code", T.StringType()),  # of the catalogue, else latest known, else "unknown"
        T.StructField("category", T.StringType()),  # its first part
        T.StructField("brand", T.StringType()),  # likewise
        T.StructField("avg_price", T.DoubleType()),  # mean of known prices, else the catalogue's; null if none
        T.StructField("available", T.BooleanType()),  # false where the catalogue says so
        T.StructField("total_events", T.LongType()),
        T.StructField("total_views", T.LongType()),
        T.StructField("total_carts", T.LongType()),
        T.StructField("total_purchases", T.LongType()),
        T.StructField("unique_users", T.LongType()),
        T.StructField("enhanced_popularity_score", T.DoubleType()),
        T.StructField("popularity", T.DoubleType()),  # time-decayed ratings, each user's capped
        T.StructField("first_seen", T.TimestampType()),
        T.StructField("last_seen", T.TimestampType()),
        T.StructField("day_users", T.LongType()),  # users of whom it was wanted in the last day of the slice
        T.StructField("day_buyers", T.LongType()),  # of these, who bought it
        T.StructField("week_users", T.LongType()),  # likewise, in its last week
        T.StructField("week_buyers", T.LongType()),
    ]
)


def product_sums(pairs: Relation) -> Relation:
    """What the users of a part did with each product.

    Parameters
    ----------
    pairs
        `user_product_pairs`.

    Returns
    -------
    Relation
        product_id, views, carts, purchases, events, users, viewers, carters and buyers (of the viewers), price_cents,
        prices, paid_cents (null without a price), decayed_millionths (whole numbers), first_seen, last_seen.
    """
    return query(
        """
        select product_id,
            sum(views)::bigint as views, sum(carts)::bigint as carts, sum(purchases)::bigint as purchases,
            sum(views + carts + removals + purchases)::bigint as events, count(*) as users,
            count(*) filter (views > 0) as viewers, count(*) filter (views > 0 and carts > 0) as carters,
            count(*) filter (views > 0 and purchases > 0) as buyers,
            sum(price_cents)::bigint as price_cents, sum(prices)::bigint as prices,
            sum(paid_cents)::bigint as paid_cents,
            sum(round(decayed * 1e6)::bigint)::bigint as decayed_millionths,
            min(first_seen) as first_seen, max(last_seen) as last_seen
        from pairs group by product_id
        """,
        pairs=pairs,
    )


def product_recency(events: Relation, until: datetime) -> Relation:
    """How many of the users of a part wanted each product lately: viewed it, put it into the cart or bought it.

    Parameters
    ----------
    events
        The events table before a moment, all events of a user.
    until
        The moment.

    Returns
    -------
    Relation
        product_id, day_users, day_buyers, week_users, week_buyers (`PRODUCT_SCHEMA`).
    """
    since = {name: f"(timestamp '{until}' - interval {days} day)" for name, days in LATELY.items()}
    counts = ", ".join(
        f"count(*) filter ({what} >= {start}) as {name}_{who}"
        for name, start in since.items()
        for what, who in (("wanted_at", "users"), ("bought_at", "buyers"))
    )
    return query(
        f"""
        with wanted as (
            select product_id, max(event_time) as wanted_at,
                max(event_time) filter (event_type = '{PURCHASE}') as bought_at
            from events where event_type <> '{REMOVE}' and event_time >= {since["week"]} group by user_id, product_id
        )
        select product_id, {counts} from wanted group by product_id
        """,
        events=events,
    )


def product_words(events: Relation) -> Relation:
    """What the events of a part say of a product: product_id, product_key, category_code, brand, category_id, said_at.

    `category_id` is the greatest of those said, `said_at` when category and brand were last said.
    """
    return query(
        """
        select product_id, max(product_key) as product_key, category_code, brand, max(category_id) as category_id,
            max(event_time) as said_at
        from events group by product_id, category_code, brand
        """,
        events=events,
    )


def product_attributes(words: Relation, catalogue: Relation | None = None) -> Relation:
    """What is known of each product.

    Of the catalogue, else the latest known category and brand. "unknown" is taken only when nothing else was ever
    said; a tie in time goes to the greater text.

    Parameters
    ----------
    words
        `product_words` of all parts.
    catalogue
        `app.events.catalogue.CATALOGUE_SCHEMA`; its products are there even if nobody has touched them.

    Returns
    -------
    Relation
        product_id, product_key, title, category_code, brand, price (of the catalogue), available.
    """
    seen = query(
        f"""
        select product_id, max(product_key) as product_key, {_latest("category_code")}, {_latest("brand")}
        from words group by product_id
        """,
        words=words,
    )
    if catalogue is None:
        return seen.select(
            "product_id, product_key, null::varchar as title, category_code, brand, null::double as price, "
            "true as available"
        )
    return query(
        f"""
        select product_id, coalesce(seen.product_key, catalogue.product_key) as product_key, title,
            {_named("category_code")}, {_named("brand")}, price, coalesce(catalogue.available, true) as available
        from seen full join catalogue using (product_id)
        """,
        seen=seen,
        catalogue=catalogue,
    )


def _latest(name: str) -> str:
    known = f"max(struct_pack(said_at, word := {name})) filter ({name} <> '{UNKNOWN}')"
    return f"coalesce(({known}).word, '{UNKNOWN}') as {name}"


def _named(name: str) -> str:
    return f"coalesce(nullif(catalogue.{name}, '{UNKNOWN}'), seen.{name}, '{UNKNOWN}') as {name}"


def product_features(sums: Relation, attributes: Relation, recency: Relation) -> Relation:
    """One row per product, of those that nobody has touched as well.

    `enhanced_popularity_score` is (3 purchases + 2 carts + views) / unique users, kept as a column; ranking uses
    `popularity`, in which one user with many views can't outdo a bestseller.

    Parameters
    ----------
    sums
        `product_sums` of all parts.
    attributes
        `product_attributes`.
    recency
        `product_recency` of all parts.

    Returns
    -------
    Relation
        `PRODUCT_SCHEMA`, in the order of products.
    """
    counts = [f"{name}_{who}" for name in LATELY for who in ("users", "buyers")]
    return query(
        f"""
        with lately as (
            select product_id, {", ".join(f"sum({name})::bigint as {name}" for name in counts)}
            from recency group by product_id
        ),
        totals as (
            select product_id,
                sum(events)::bigint as total_events, sum(views)::bigint as total_views,
                sum(carts)::bigint as total_carts, sum(purchases)::bigint as total_purchases,
                sum(users)::bigint as unique_users, sum(price_cents) / sum(prices) / 100 as mean_price,
                round(sum(decayed_millionths) / 1e6, 4) as popularity,
                min(first_seen) as first_seen, max(last_seen) as last_seen
            from sums group by product_id
        )
        select product_id, product_key, title, category_code, split_part(category_code, '.', 1) as category, brand,
            coalesce(mean_price, price)::double as avg_price, available,
            coalesce(total_events, 0) as total_events, coalesce(total_views, 0) as total_views,
            coalesce(total_carts, 0) as total_carts, coalesce(total_purchases, 0) as total_purchases,
            coalesce(unique_users, 0) as unique_users,
            case when unique_users > 0 then (3 * total_purchases + 2 * total_carts + total_views) / unique_users
                else 0.0 end::double as enhanced_popularity_score,
            coalesce(popularity, 0.0)::double as popularity, first_seen, last_seen,
            {", ".join(f"coalesce({name}, 0) as {name}" for name in counts)}
        from attributes left join totals using (product_id) left join lately using (product_id)
        """,
        sums=sums,
        attributes=attributes,
        recency=recency,
    ).order("product_id")
