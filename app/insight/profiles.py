"""Profiles: types of behaviour, by rules that can be read.

A user has the first profile whose rule holds, in the order of `RULES`. Three of them are asked for
(docs/brief.md); the cart abandoner is the same idea for carts, and thresholds are ours.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from app.insight.results import ProfileRow

IMPULSIVE_MINUTES = 10  #: a buying session this short is a decision on the spot
IMPULSIVE_SHARE = 0.5  #: share of a user's buying sessions that must be so
ABANDON_SHARE = 0.5  #: share of carted products left behind
ABANDON_MIN_CARTS = 2
REGULAR_DAYS = 3  #: days with a visit
PRICE_RATIO = 0.7  #: looks at products this much cheaper than is usual in their categories
PRICE_MIN_PRODUCTS = 3

IMPULSIVE, ABANDONER, REGULAR, PRICE_SENSITIVE, OTHER = (
    "Impulsive_Buyer",
    "Cart_Abandoner",
    "Regular_Non_Buyer",
    "Price_Sensitive",
    "Other",
)
RULES = {
    IMPULSIVE: f"bought, and at least {IMPULSIVE_SHARE:.0%} of the buying sessions lasted "
    f"{IMPULSIVE_MINUTES} minutes or less, without a removal from the cart",
    ABANDONER: f"carted at least {ABANDON_MIN_CARTS} products and left {ABANDON_SHARE:.0%} or more of them",
    REGULAR: f"came on {REGULAR_DAYS} days or more and never bought",
    PRICE_SENSITIVE: f"looked at {PRICE_MIN_PRODUCTS} products or more, on average at {PRICE_RATIO:.0%} "
    "or less of the usual price in their categories",
    OTHER: "none of these",
}


def user_profiles(
    users: DataFrame, sessions: DataFrame, carts: DataFrame, pairs: DataFrame, products: DataFrame
) -> DataFrame:
    """The profile of each user.

    Parameters
    ----------
    users
        `user_features`.
    sessions
        `session_table`.
    carts
        `cart_outcomes`.
    pairs
        `user_product_pairs`.
    products
        `product_features`.

    Returns
    -------
    DataFrame
        user_id, profile.
    """
    minutes = (F.col("end").cast("long") - F.col("start").cast("long")) / 60
    quick = (minutes <= IMPULSIVE_MINUTES) & (F.col("removals") == 0)
    buying = (
        sessions.where(F.col("purchases") > 0)
        .groupBy("user_id")
        .agg(F.count("*").alias("buying"), F.count_if(quick).alias("quick"))
    )
    facts = (
        users.select("user_id", "frequency", "purchases", "unique_products")
        .join(buying, "user_id", how="left")
        .join(carts, "user_id", how="left")
        .join(relative_prices(pairs, products), "user_id", how="left")
    )
    tests = {
        IMPULSIVE: F.col("quick") / F.col("buying") >= IMPULSIVE_SHARE,
        ABANDONER: (F.col("carted_pairs") >= ABANDON_MIN_CARTS)
        & (F.col("abandoned_pairs") / F.col("carted_pairs") >= ABANDON_SHARE),
        REGULAR: (F.col("frequency") >= REGULAR_DAYS) & (F.col("purchases") == 0),
        PRICE_SENSITIVE: (F.col("unique_products") >= PRICE_MIN_PRODUCTS) & (F.col("price_ratio") <= PRICE_RATIO),
    }
    profile = F.coalesce(*(F.when(test, F.lit(name)) for name, test in tests.items()), F.lit(OTHER))
    return facts.select("user_id", profile.alias("profile"))


def relative_prices(pairs: DataFrame, products: DataFrame) -> DataFrame:
    """Mean ratio of the prices a user looks at to the usual price of the category.

    The usual price of a category code is the mean over its products, weighted by users.

    Returns
    -------
    DataFrame
        user_id, price_ratio (1 = usual).
    """
    priced = products.where((F.col("avg_price") > 0) & (F.col("unique_users") > 0))
    usual = priced.groupBy("category_code").agg(
        (F.sum(F.col("avg_price") * F.col("unique_users")) / F.sum("unique_users")).alias("usual_price")
    )
    ratio = priced.join(F.broadcast(usual), "category_code", how="inner").select(
        "product_id", (F.col("avg_price") / F.col("usual_price")).alias("ratio")
    )
    return (
        pairs.select("user_id", "product_id")
        .join(F.broadcast(ratio), "product_id", how="inner")
        .groupBy("user_id")
        .agg(F.avg("ratio").alias("price_ratio"))
    )


def profile_table(profiles: DataFrame) -> tuple[ProfileRow, ...]:
    """Users per profile, with the rule in words, in the order of `RULES`; nobody may be in one."""
    counts = {row["profile"]: row["count"] for row in profiles.groupBy("profile").count().collect()}
    total = sum(counts.values()) or 1
    return tuple(
        ProfileRow(profile=name, users=counts.get(name, 0), share=counts.get(name, 0) / total, rule=rule)
        for name, rule in RULES.items()
    )
