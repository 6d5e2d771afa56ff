"""What is known of products, looked up for many at once: a list for each attribute."""

from dataclasses import dataclass
from math import isnan

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.events.vocabulary import UNKNOWN
from app.serve.catalogue import Catalogue


@dataclass(frozen=True)
class Attributes:
    """Of m products, as answers have them: the shop's own ids as text; None for what is not known."""

    ids: list[str]
    titles: list[str | None]
    categories: list[str | None]
    brands: list[str | None]
    prices: list[float | None]

    def name(self, place: int) -> str:
        """What people call one of them: its title, or brand and kind with the id."""
        category = self.categories[place]
        kind = category.rpartition(".")[2] if category else "product"
        return self.titles[place] or " ".join(filter(None, (self.brands[place], kind, self.ids[place])))


class Lookup:
    """The attributes of a catalogue's products by position.

    Parameters
    ----------
    catalogue
        Of a bundle.
    text_ids
        Whether the shop's ids are text.
    """

    def __init__(self, catalogue: Catalogue, text_ids: bool):
        self._catalogue, self._text_ids = catalogue, text_ids
        table = catalogue.table
        self._categories, self._brands = _Words(table["category_code"]), _Words(table["brand"])
        self.prices: NDArray[np.float64] = table["avg_price"].to_numpy()  #: (p,), NaN where none is known
        titles = table["title"]
        self._titles = None if titles.null_count == len(titles) else titles

    def __call__(self, items: NDArray[np.integer]) -> Attributes:
        """Of products (m,)."""
        return Attributes(
            self.ids(items),
            [None] * len(items) if self._titles is None else self._titles.take(pa.array(items)).to_pylist(),
            self._categories.at(items),
            self._brands.at(items),
            [None if isnan(price) else round(price, 2) for price in self.prices[items].tolist()],
        )

    def ids(self, items: NDArray[np.integer]) -> list[str]:
        """The shop's own ids of products (m,)."""
        if not self._text_ids:  # without Arrow's calls, which take longer than a list's ids
            return [str(number) for number in self._catalogue.product_ids[items].tolist()]
        return [str(shown) for shown in self._catalogue.shown(items, True).to_pylist()]


class _Words:
    """A column of few different words, each made a text of Python's once."""

    def __init__(self, column: pa.ChunkedArray):
        encoded = column.combine_chunks().dictionary_encode()
        self._words = [*map(known, encoded.dictionary.to_pylist()), None]
        self._codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()

    def at(self, items: NDArray[np.integer]) -> list[str | None]:
        return [self._words[code] for code in self._codes[items].tolist()]


def known(text: str | None) -> str | None:
    """An attribute, None where the log and the catalogue know none."""
    return None if text == UNKNOWN else text
