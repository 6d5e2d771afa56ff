"""Products by hand, cut as `app.insight.shop_products` cuts them."""

from app.core.duck import Connection, Relation
from tests.handmade import relation

COLUMNS = (
    "product_id bigint, product_key varchar, title varchar, brand varchar, label varchar, category int, "
    "avg_price double, band int, views bigint, carts bigint, purchases bigint, viewers bigint, carters bigint, "
    "buyers bigint, revenue double"
)
#: product -> category (2 stands for all others), price, band
PRODUCTS: dict[int, tuple[str | None, int, float | None, int | None]] = {
    7: ("phones", 0, 100.0, 2),
    8: ("phones", 0, 20.0, 1),
    9: ("sofas", 1, 5.0, 0),
    10: (None, 2, None, None),
}
CATEGORIES = ("phones", "sofas")


def shop_relation(duck: Connection) -> Relation:
    """The table of `PRODUCTS`, that nobody has touched."""
    rows = [(product, None, None, "acme", *cut, 0, 0, 0, 0, 0, 0, None) for product, cut in PRODUCTS.items()]
    return relation(duck, rows, COLUMNS)


def sold(duck: Connection, shop: dict[int, tuple[int, int]], revenue: dict[int, float] | None = None) -> Relation:
    """Products with so many viewers, and buyers among them, each of one purchase."""
    rows = [
        (
            product,
            None,
            None,
            "acme",
            "phones",
            0,
            1.0,
            0,
            viewers,
            0,
            buyers,
            viewers,
            0,
            buyers,
            (revenue or {}).get(product),
        )
        for product, (viewers, buyers) in shop.items()
    ]
    return relation(duck, rows, COLUMNS)
