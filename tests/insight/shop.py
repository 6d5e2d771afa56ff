"""Products by hand, cut as `app.insight.shop_products` cuts them."""

from app.core.duck import Connection, Relation
from tests.handmade import relation

COLUMNS = (
    "product_id bigint, product_key varchar, title varchar, brand varchar, label varchar, category int, "
    "avg_price double, band int"
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
    """The table of `PRODUCTS`."""
    rows = [(product, None, None, "acme", *cut) for product, cut in PRODUCTS.items()]
    return relation(duck, rows, COLUMNS)
