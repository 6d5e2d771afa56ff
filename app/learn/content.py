"""Learning what products are alike, from the words that describe them.

A product's words are its category and those above it, its brand, its price band, the words of its title, and its
category together with brand and with price band. Their weights are TF-IDF (Salton, Buckley, "Term-weighting approaches
in automatic text retrieval", 1988), the likeness of two products is the cosine. Nothing is learned from touches but how
popular a product is, so that one that nobody has touched has neighbours, and is one.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.core.settings import Settings
from app.events.vocabulary import UNKNOWN
from app.learn.row_products import strongest_of_product
from app.learn.tables import Tables
from app.serve.catalogue import Catalogue
from app.serve.generators.content import Content
from app.serve.sparse import canonical_rows, only_columns, scaled_columns, strongest_per_row

MOST_PRODUCTS = 1_000  #: a word that more products have tells too little for what it costs
WORD = re.compile(r"[^\W_]{2,}")


def fit_content(tables: Tables, settings: Settings) -> Content:
    """Neighbours by position: of each product so many that are known, and as many new ones."""
    vectors, pull = word_vectors(tables.catalogue), attraction(tables.catalogue)
    new, n = tables.catalogue.table["popularity"].to_numpy() == 0, settings.content_neighbours
    alike = scaled_columns(only_columns(csr_matrix(vectors.T), tables.catalogue.available), pull)
    known, unknown = (_nearest(vectors, only_columns(alike, side), n) for side in (~new, new))
    return Content(canonical_rows(known + unknown), settings.content_decay)


def _nearest(vectors: csr_matrix, others: csr_matrix, n: int) -> csr_matrix:
    """The n others (words, p) that each product (p, words) is most like, without itself."""
    nearest = strongest_of_product(vectors, others, n + 1)
    rows = np.repeat(np.arange(nearest.shape[0]), np.diff(nearest.indptr))
    nearest.data[nearest.indices == rows] = 0
    return strongest_per_row(nearest, n)


def word_vectors(catalogue: Catalogue) -> csr_matrix:
    """The words of each product (p, words), each row of length 1, or 0 where nothing is known."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # where it is fitted: it takes a second

    vectorizer = TfidfVectorizer(
        analyzer=lambda words: words, min_df=2, max_df=MOST_PRODUCTS, sublinear_tf=True, dtype=np.float32
    )
    documents = list(words(catalogue))
    try:
        return csr_matrix(vectorizer.fit_transform(documents))
    except ValueError:  # no word that two products share
        return csr_matrix((len(catalogue), 1), dtype=np.float32)


def words(catalogue: Catalogue) -> Iterator[list[str]]:
    """The words of each product."""
    columns = [catalogue.table[name].to_pylist() for name in ("category_code", "brand", "avg_price", "title")]
    for category, brand, price, title in zip(*columns, strict=True):
        found = []
        levels = [] if category == UNKNOWN else category.split(".")
        found += ["category " + ".".join(levels[: depth + 1]) for depth in range(len(levels))]
        band = f"price {round(2 * np.log2(price))}" if price else None
        found += [f"brand {brand}"] if brand != UNKNOWN else []
        if levels:
            found += [f"{found[len(levels) - 1]} brand {brand}"] if brand != UNKNOWN else []
            found += [f"{found[len(levels) - 1]} {band}"] if band else []
        elif band:
            found.append(band)
        yield found + WORD.findall((title or "").lower())


def attraction(catalogue: Catalogue) -> NDArray[np.float32]:
    """How much more a product (p,) is proposed for being popular: 1 for a new one."""
    popularity = catalogue.table["popularity"].to_numpy()
    return (1 + np.log1p(popularity)).astype(np.float32)
