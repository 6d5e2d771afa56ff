"""A bundle as the API asks it: ids of the shop in and out, filters, products."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.api.attributes import Lookup, known
from app.api.models import ALL, Category, Filters, Id, Product
from app.events.ids import number_of
from app.registry.bundle import Bundle
from app.serve.catalogue import positions
from app.serve.ragged import NONE
from app.serve.users import stranger
from app.serve.visits import Visitors
from app.serve.wanted import Wanted

MOST_MASKS = 256  #: categories whose products are kept in memory


class Shop:
    """One bundle, opened: what answers together is answered from the same one.

    Parameters
    ----------
    bundle
        In use.
    """

    def __init__(self, bundle: Bundle):
        self.bundle, self.recommender = bundle, bundle.recommender
        self.catalogue = self.recommender.catalogue
        self.text_ids = self.recommender.parameters.text_ids
        self.attributes = Lookup(self.catalogue, self.text_ids)
        self.category_mask = lru_cache(MOST_MASKS)(self._category_mask)

    @cached_property
    def stranger(self) -> int:
        """A number that no user of the bundle has."""
        return stranger(self.recommender.users.ids)

    def warm(self) -> None:
        """Work out what the first requests would else wait for."""
        self.stranger, self.popular, self._search_text  # noqa: B018
        visitors = Visitors.of([self.stranger], 0.0)
        self.recommender.recommend(visitors, 1, self.wanted([ALL]))

    def user(self, user_id: Id | None) -> int:
        """The internal number of a user; a stranger's where there is none."""
        number = number_of(user_id, self.text_ids)
        return self.stranger if number is None else number

    def product(self, product_id: Id) -> int:
        """The position of a product in the catalogue, `NONE` if it is unknown."""
        return int(self.products([product_id])[0])

    def products(self, product_ids: Sequence[Id]) -> NDArray[np.int32]:
        """Positions (n,) of products, `NONE` for unknown ones."""
        numbers = [number_of(product_id, self.text_ids) for product_id in product_ids]
        known = np.array([number is not None for number in numbers], np.bool_)
        found = positions(self.catalogue.product_ids, np.array([number or 0 for number in numbers], np.int64))
        return np.where(known, found, NONE).astype(np.int32)

    def wanted(self, filters: Sequence[Filters]) -> Wanted:
        """The filters of n visits."""
        distinct = list(dict.fromkeys(filters))
        passing = np.array([self.passing(each) for each in distinct])
        place = {each: number for number, each in enumerate(distinct)}
        return Wanted(passing, np.array([place[each] for each in filters], np.intp))

    def passing(self, filters: Filters) -> NDArray[np.bool_]:
        """Which products of the catalogue (p,) pass."""
        passing = np.ones(len(self.catalogue), np.bool_)
        if filters.category is not None:
            passing &= self.category_mask(filters.category)
        if filters.price_min is not None:
            passing &= self.attributes.prices >= filters.price_min  # a missing price is NaN, and fails both
        if filters.price_max is not None:
            passing &= self.attributes.prices <= filters.price_max
        excluded = self.products(filters.exclude)
        passing[excluded[excluded != NONE]] = False
        return passing

    @cached_property
    def popular(self) -> NDArray[np.intp]:
        """All products that are available, the most popular first."""
        order = self.recommender.popular
        return order if self.catalogue.available is None else order[self.catalogue.available[order]]

    def found(self, text: str | None, category: str | None) -> NDArray[np.intp]:
        """Products by position, the most popular first: all words of the text in id, title, brand or category."""
        there = np.ones(len(self.catalogue), np.bool_)
        if category is not None:
            there &= self.category_mask(category)
        for word in (text or "").lower().split():
            there &= pc.match_substring(self._search_text, word).to_numpy(zero_copy_only=False)
        return self.popular[there[self.popular]]

    def described(self, items: NDArray[np.integer]) -> list[Product]:
        """What is known of products by position."""
        found, available = self.attributes(items), self.catalogue.available
        on_sale = [True] * len(items) if available is None else available[items].tolist()
        columns = (found.ids, found.titles, found.categories, found.brands, found.prices, on_sale)
        return [
            Product(product_id=product, title=title, category=category, brand=brand, price=price, available=there)
            for product, title, category, brand, price, there in zip(*columns, strict=True)
        ]

    def categories(self, parent: str | None = None) -> list[Category]:
        """Categories right below one, else the main ones, with products that are available, the largest first."""
        head = "" if parent is None else f"{parent}."
        sizes = Counter[str]()
        for code, products in self._available_in.items():
            if code.startswith(head) and known(code) is not None:
                sizes[head + code.removeprefix(head).partition(".")[0]] += products
        in_order = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))
        return [Category(category=category, products=products) for category, products in in_order]

    def _category_mask(self, category: str) -> NDArray[np.bool_]:
        codes = self.catalogue.table["category_code"]
        there = pc.or_(pc.equal(codes, category), pc.starts_with(codes, f"{category}."))
        mask: NDArray[np.bool_] = pc.fill_null(there, False).to_numpy()
        return mask

    @cached_property
    def _available_in(self) -> dict[str, int]:
        """How many products are available, by the whole path of their category."""
        found = self.catalogue.table["category_code"].take(pa.array(self.popular)).value_counts()
        return dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))

    @cached_property
    def _search_text(self) -> pa.ChunkedArray:
        table = self.catalogue.table
        ids = pc.coalesce(table["product_key"], pc.cast(table["product_id"], pa.string()))
        parts = [pc.fill_null(table[name], "") for name in ("title", "brand", "category_code")]
        return pc.utf8_lower(pc.binary_join_element_wise(ids, *parts, " "))


def main_category(category: str | None) -> str | None:
    """The first part of a category's path."""
    return None if category is None else category.partition(".")[0]
