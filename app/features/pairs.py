"""User-product pairs: computed once, and what user, product and rating tables are built from."""

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from app.events.revenue import revenue_cents
from app.events.vocabulary import CART, MAX_RATING, PURCHASE, RATING, REMOVE, VIEW

SECONDS_PER_DAY = 86_400
BEFORE = "_before"  #: ending of the columns that stop at the cut


def user_product_pairs(
    events: DataFrame, as_of: datetime, half_life_days: float, cut: datetime | None = None
) -> DataFrame:
    """One row per user and product.

    Parameters
    ----------
    events
        The events table.
    as_of
        The moment from which age is counted, usually the latest event.
    half_life_days
        Age at which an event counts half in `decayed`.
    cut
        If given, each column stands a second time, as `<name>_before`, over the events before
        this moment alone: one shuffle then serves both training and evaluation (`pairs_before`).

    Returns
    -------
    DataFrame
        user_id, product_id, views, carts, removals, purchases (counts), price_cents (sum of known
        prices, hundredths), prices (how many were known), paid_cents (purchases: price × quantity), first_seen,
        last_seen, last_purchase (timestamps), rating (1/3/5 summed, capped at 10) and decayed
        (the same with decay, capped, rounded so that it does not depend on the order of the rows).
    """
    columns = _aggregates(F.lit(True), as_of, half_life_days)
    if cut is not None:
        before = _aggregates(F.col("event_time") < F.lit(cut), cut, half_life_days)
        columns |= {f"{name}{BEFORE}": column for name, column in before.items()}
    return events.groupBy("user_id", "product_id").agg(*(c.alias(name) for name, c in columns.items()))


def pairs_before(pairs: DataFrame) -> DataFrame:
    """The pairs as they stood at the `cut` of `user_product_pairs`."""
    names = [name.removesuffix(BEFORE) for name in pairs.columns if name.endswith(BEFORE)]
    known = pairs.where(F.col(f"last_seen{BEFORE}").isNotNull())
    return known.select("user_id", "product_id", *(F.col(f"{name}{BEFORE}").alias(name) for name in names))


_COUNTS = {VIEW: "views", CART: "carts", REMOVE: "removals", PURCHASE: "purchases"}


def _aggregates(taken: Column, as_of: datetime, half_life_days: float) -> dict[str, Column]:
    kind, time = F.col("event_type"), F.when(taken, F.col("event_time"))
    cents = F.when(taken, F.round(F.col("price") * 100).cast("long"))  # integer sums: row order can't matter
    age_days = (F.lit(as_of).cast("timestamp").cast("long") - F.col("event_time").cast("long")) / SECONDS_PER_DAY
    weight = F.when(taken, event_rating()).otherwise(0.0)
    decay = F.pow(F.lit(0.5), age_days / F.lit(half_life_days))
    counts = {alias: F.count_if(taken & (kind == name)) for name, alias in _COUNTS.items()}
    return counts | {
        "price_cents": F.sum(cents),
        "prices": F.count(cents),
        "paid_cents": F.sum(F.when(taken, revenue_cents())),
        "first_seen": F.min(time),
        "last_seen": F.max(time),
        "last_purchase": F.max(F.when(kind == PURCHASE, time)),
        "rating": F.least(F.sum(weight), F.lit(MAX_RATING)),
        "decayed": F.round(F.least(F.sum(weight * decay), F.lit(MAX_RATING)), 6),
    }


def event_rating(event_type: str = "event_type") -> Column:
    """Implicit rating of one event, see `app.events.vocabulary.RATING`."""
    rating = F.lit(0.0)
    for name, value in RATING.items():
        rating = F.when(F.col(event_type) == name, value).otherwise(rating)
    return rating


def cart_outcomes(events: DataFrame, as_of: datetime, window_hours: int) -> DataFrame:
    """Carted pairs and whether each was left behind.

    A carted (user, product) pair is abandoned when no purchase of it follows within the window
    after its last cart event (the brief's (carts - purchases) / carts is negative for the 35 % of
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
    in_time = lambda moment: (moment >= F.col("carted")) & (moment <= F.col("carted") + window)  # noqa: E731
    decided = pairs.select(
        "user_id",
        F.exists("bought_at", in_time).alias("bought"),
        (F.col("carted") + window <= F.lit(as_of).cast("timestamp").cast("long")).alias("over"),
    ).where(F.col("bought") | F.col("over"))
    return decided.groupBy("user_id").agg(
        F.count("*").alias("carted_pairs"), F.count_if(~F.col("bought")).alias("abandoned_pairs")
    )
