"""Content: products alike by what the shop says of them, also those that nobody has touched yet."""

from typing import ClassVar

from app.serve.row_sums import RowSums


class Content(RowSums):
    """The row of a product is those alike by category, brand, price and title: known ones by how popular they are,
    and new ones beside them."""

    name: ClassVar[str] = "content"
