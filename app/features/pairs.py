"""User-product pairs: computed once, and what user, product and rating tables are built from."""

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.revenue import revenue_cents
from app.events.vocabulary import CART, KINDS, MAX_RATING, PURCHASE, RATING, REMOVE, VIEW

SECONDS_PER_DAY = 86_400


def user_product_pairs(events: DataFrame, as_of: datetime, half_life_days: float) -> DataFrame:
    """One row per user and product.

    Parameters
    ----------
    events
        The events table.
    as_of
        The moment from which age is counted.
    half_life_days
        Age at which an event counts half in `decayed`.

    Returns
    -------
    DataFrame
        user_id, product_id, views, carts, removals, purchases (counts), price_cents (sum of known prices,
        hundredths), prices (how many were known), paid_cents (purchases: price × quantity), first_seen, last_seen,
        last_purchase (timestamps), kind (int, in `KINDS`: the most committed event), user_key (the shop's own id, null
        where it is the number), rating (1/3/5 summed, capped at 10) and decayed (the same with decay, capped, rounded
        so that it does not depend on the order of the rows).
    """
    kind, time = F.col("event_type"), F.col("event_time")
    cents = F.round(F.col("price") * 100).cast("long")  # integer sums: row order can't matter
    age_days = (F.lit(as_of).cast("timestamp").cast("long") - time.cast("long")) / SECONDS_PER_DAY
    decay = F.pow(F.lit(0.5), age_days / F.lit(half_life_days))
    return events.groupBy("user_id", "product_id").agg(
        *(F.count_if(kind == name).alias(alias) for name, alias in _COUNTS.items()),
        F.sum(cents).alias("price_cents"),
        F.count(cents).alias("prices"),
        F.sum(revenue_cents()).alias("paid_cents"),
        F.min(time).alias("first_seen"),
        F.max(time).alias("last_seen"),
        F.max(F.when(kind == PURCHASE, time)).alias("last_purchase"),
        F.max(event_kind()).alias("kind"),
        F.max("user_key").alias("user_key"),
        F.least(F.sum(event_rating()), F.lit(MAX_RATING)).alias("rating"),
        F.round(F.least(F.sum(event_rating() * decay), F.lit(MAX_RATING)), 6).alias("decayed"),
    )


_COUNTS = {VIEW: "views", CART: "carts", REMOVE: "removals", PURCHASE: "purchases"}


def event_kind(event_type: str = "event_type") -> Column:
    """Code of an event type in `KINDS`, which grows with commitment."""
    return (F.array_position(F.array(*map(F.lit, KINDS)), F.col(event_type)) - 1).cast("int")


def event_rating(event_type: str = "event_type") -> Column:
    """Implicit rating of one event, see `app.events.vocabulary.RATING`."""
    rating = F.lit(0.0)
    for name, value in RATING.items():
        rating = F.when(F.col(event_type) == name, value).otherwise(rating)
    return rating


def cart_outcomes(events: DataFrame, as_of: datetime, window_hours: int) -> DataFrame:
    """Carted pairs and whether each was left behind.

    A carted (user, product) pair is abandoned when no purchase of it follows within the window
    after its last cart event ((carts - purchases) / carts would be negative for the 35 % of
    buying sessions without a cart event). A pair whose window is not over at `as_of` counts only
    when it was bought.

    Parameters
    ----------
    events
        The events table.
    as_of
        End of the data.
    window_hours
        Time in which a carted product must be bought.

    Returns
    -------
    DataFrame
        user_id, carted_pairs, abandoned_pairs; users without a decided carted pair are absent.
    """
    kind, time = F.col("event_type"), F.col("event_time").cast("long")
    window = window_hours * 3600
    relevant = events.where(kind.isin(CART, PURCHASE)).groupBy("user_id", "product_id")
    pairs = relevant.agg(
        F.max(F.when(kind == CART, time)).alias("carted"),
        F.collect_list(F.when(kind == PURCHASE, time)).alias("bought_at"),
    ).where(F.col("carted").isNotNull())

    def in_time(moment: Column) -> Column:
        return (moment >= F.col("carted")) & (moment <= F.col("carted") + window)

    decided = pairs.select(
        "user_id",
        F.exists("bought_at", in_time).alias("bought"),
        (F.col("carted") + window <= F.lit(as_of).cast("timestamp").cast("long")).alias("over"),
    ).where(F.col("bought") | F.col("over"))
    return decided.groupBy("user_id").agg(
        F.count("*").alias("carted_pairs"), F.count_if(~F.col("bought")).alias("abandoned_pairs")
    )
