"""Profiles: types of behaviour, by rules that can be read.

A user has the first profile whose rule holds, in the order of `RULES`. Three of them are asked for
(docs/brief.md); the cart abandoner is the same idea for carts, and thresholds are ours.
"""

from pathlib import Path

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table, write_table
from app.features.slices import Slice
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


def user_profiles(users: Relation, sessions: Relation, carts: Relation, pairs: Relation, ratios: Relation) -> Relation:
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
    ratios
        `price_ratios`.

    Returns
    -------
    Relation
        user_id, profile.
    """
    tests = {
        IMPULSIVE: f"quick / buying >= {IMPULSIVE_SHARE}",
        ABANDONER: f"carted_pairs >= {ABANDON_MIN_CARTS} and abandoned_pairs / carted_pairs >= {ABANDON_SHARE}",
        REGULAR: f"frequency >= {REGULAR_DAYS} and purchases = 0",
        PRICE_SENSITIVE: f"unique_products >= {PRICE_MIN_PRODUCTS} and price_ratio <= {PRICE_RATIO}",
    }
    return query(
        f"""
        with buying as (
            select user_id, count(*) as buying, count(*) filter (
                date_diff('second', start, "end") <= {IMPULSIVE_MINUTES * 60} and removals = 0
            ) as quick
            from sessions where purchases > 0 group by user_id
        )
        select user_id, case {" ".join(f"when {test} then '{name}'" for name, test in tests.items())}
            else '{OTHER}' end as profile
        from (select user_id, frequency, purchases, unique_products from users)
            left join buying using (user_id) left join carts using (user_id) left join prices using (user_id)
        """,
        users=users,
        sessions=sessions,
        carts=carts,
        prices=relative_prices(pairs, ratios),
    )


def price_ratios(products: Relation) -> Relation:
    """How dear each product is in its category: product_id, ratio (1 = usual).

    The usual price of a category code is the mean over its products, weighted by users.
    """
    return query(
        """
        with priced as (select * from products where avg_price > 0 and unique_users > 0),
        usual as (
            select category_code, sum(avg_price * unique_users) / sum(unique_users) as usual_price
            from priced group by category_code
        )
        select product_id, avg_price / usual_price as ratio from priced join usual using (category_code)
        """,
        products=products,
    )


def relative_prices(pairs: Relation, ratios: Relation) -> Relation:
    """Mean ratio of the prices a user looks at to the usual price of the category: user_id, price_ratio (1 = usual)."""
    return query(
        "select user_id, avg(ratio) as price_ratio from pairs join ratios using (product_id) group by user_id",
        pairs=pairs,
        ratios=ratios,
    )


def count_profiles(known: Slice, folder: Path) -> dict[str, int]:
    """Users of each profile that has any.

    Parameters
    ----------
    known
        The slice whose users are counted.
    folder
        For tables on the way, on a disk that driver and executors share.
    """

    tables = known.folder

    def count(part: Part) -> None:
        ratios = read_table(part.connection, folder / "ratios")
        users, sessions, carts, pairs = (part.read(tables / name) for name in ("users", "sessions", "carts", "pairs"))
        part.write(
            "counts", user_profiles(users, sessions, carts, pairs, ratios).aggregate("profile, count(*) as users")
        )

    folder.mkdir(parents=True)
    with duck.connect(folder) as connection:
        write_table(connection, price_ratios(read_table(connection, tables / "products")), folder / "ratios")
        by_part(known.spark, len(part_files(known.events)), count, folder)
        counts = read_table(connection, folder / "counts")
        return dict(counts.aggregate("profile, sum(users)::bigint").fetchall())


def profile_table(counts: dict[str, int]) -> tuple[ProfileRow, ...]:
    """Users per profile, with the rule in words, in the order of `RULES`; nobody may be in one."""
    total = sum(counts.values()) or 1
    return tuple(
        ProfileRow(profile=name, users=counts.get(name, 0), share=counts.get(name, 0) / total, rule=rule)
        for name, rule in RULES.items()
    )
