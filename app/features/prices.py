"""How dear products are in their categories, and how dear what a user looks at is."""

from app.core.duck import Relation, query
from app.events.vocabulary import UNKNOWN


def price_ratios(products: Relation) -> Relation:
    """How dear each product is in its category: product_id, ratio (1 = usual).

    The usual price of a category code is the mean over its products, weighted by users. Products without a price or a
    category are left out.
    """
    return query(
        f"""
        with priced as (
            select * from products where avg_price > 0 and unique_users > 0 and category_code <> '{UNKNOWN}'
        ),
        usual as (
            select category_code, sum(avg_price * unique_users) / sum(unique_users) as usual_price
            from priced group by category_code
        )
        select product_id, avg_price / usual_price as ratio from priced join usual using (category_code)
        """,
        products=products,
    )


def price_levels(pairs: Relation, ratios: Relation) -> Relation:
    """How dear what a user looks at is in its category: user_id, price_level (geometric mean of ratios; 1 = usual)."""
    return query(
        "select user_id, exp(avg(ln(ratio))) as price_level from pairs join ratios using (product_id) group by user_id",
        pairs=pairs,
        ratios=ratios,
    )
