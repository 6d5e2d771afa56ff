"""The products of the synthetic shop: category, brand, price, popularity, style and life."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.synthetic import tables

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLUSTER_PRODUCTS = 16  # products of one style; small enough that neighbours are good predictors of each other
BESTSELLER_EXPONENT = 0.25  # popular products are bought more often per view
COUNT_EXPONENT = 0.7  # popular categories and brands have more products, but fewer a view
RANK_EXPONENT = 1.0  # Zipf's law within a category and brand: gives the top product its published share
PRICE_SIGMA, BRAND_SIGMA = 0.55, 0.25  # log-price spread of products and of brands within a category
FREE_SHARE, LAUNCHED_SHARE, ENDED_SHARE = 0.006, 0.12, 0.08  # of products
SATURATION = {"cart": 1.04, "purchase": 1.03}  # tuned: makes up for the loss from drawing sessions without replacement
CATEGORY_IDS = 370_000  # room for product ids per category
FIRST_PRODUCT_ID = 1_000_000


@dataclass(frozen=True)
class Catalogue:
    """All products, ordered by category, then by style cluster; every array has one entry a product.

    `popularity` (sums to 1) is the share of views that the product gets while everything is on sale.
    A product is on sale from day `launch` to day `end`, both included and counted from 0; the last
    product of each cluster is on sale all the time. `cart_appeal` and `purchase_appeal` are weights.
    """

    product_id: IntArray
    category: IntArray
    cluster: IntArray
    category_id: list[int]  # by category, like the next
    category_code: list[str | None]
    brand: list[str]  # by product; empty where missing
    price: FloatArray
    popularity: FloatArray
    launch: IntArray
    end: IntArray
    trend: FloatArray  # relative growth of popularity over the window
    cart_appeal: FloatArray
    purchase_appeal: FloatArray
    category_start: IntArray  # first product by category, with the number of products at the end
    cluster_start: IntArray  # likewise by cluster

    def cumulative(self, day: int | None = None, days: int = 1) -> FloatArray:
        """Cumulative popularity, with a leading 0; of products on sale where a day is given."""
        weight = self.popularity
        if day is not None:
            on_sale = (self.launch <= day) & (day <= self.end)
            weight = weight * np.exp(self.trend * (day / days - 0.5)) * on_sale
        return np.concatenate([[0.0], np.cumsum(weight)])


def draw(cumulative: FloatArray, low: IntArray, high: IntArray, quantile: FloatArray) -> IntArray:
    """Products drawn from the ranges [low, high) in proportion to their weights."""
    at = cumulative[low] + quantile * (cumulative[high] - cumulative[low])
    return np.clip(np.searchsorted(cumulative, at, side="right") - 1, low, high - 1)


def build_catalogue(products: int, days: int, rng: np.random.Generator) -> Catalogue:
    """Products whose shares by category and brand and whose mean prices are the published ones."""
    table, category, brand = _assign(tables.categories(), products)
    price_factor = _price_factors(category, brand, rng)
    order = _style_order(category, brand, price_factor, rng)
    category, brand, price_factor = category[order], brand[order], price_factor[order]
    popularity = _popularity(table, category, brand, rng)
    category_start = np.searchsorted(category, np.arange(len(table) + 1))
    cluster, cluster_start = _clusters(category_start)
    last_is_largest = _largest_last(popularity, cluster_start)
    brand, popularity = brand[last_is_largest], popularity[last_is_largest]
    price = _prices(table, category, popularity, price_factor[last_is_largest], rng)
    launch, end = _lives(cluster_start, days, rng)
    conversion = [tables.CONVERSION.get(row.code or "", tables.OTHER_CONVERSION) for row in table]
    wanted = popularity ** (1 + BESTSELLER_EXPONENT) * np.array(conversion)[category]
    return Catalogue(
        product_id=_product_ids(category_start, rng),
        category=category,
        cluster=cluster,
        category_id=[row.category_id for row in table],
        category_code=[row.code for row in table],
        brand=brand.tolist(),
        price=price,
        popularity=popularity,
        launch=launch,
        end=end,
        trend=rng.normal(0, 0.6, products),
        cart_appeal=_appeal(price, wanted, "cart") / popularity,
        purchase_appeal=_appeal(price, wanted, "purchase") / popularity,
        category_start=category_start,
        cluster_start=cluster_start,
    )


def largest_remainder(total: int, weights: FloatArray) -> IntArray:
    """Whole numbers that sum to `total`, in proportion to the weights."""
    exact = total * weights / weights.sum()
    count = np.floor(exact).astype(np.int64)
    count[np.argsort(count - exact, kind="stable")[: total - count.sum()]] += 1
    return count


def _assign(table: list[tables.Category], products: int) -> tuple[list[tables.Category], IntArray, NDArray[np.str_]]:
    """Categories that get a product, and the category and brand of each product."""
    shares = _category_shares(table)
    counts = largest_remainder(products, shares**COUNT_EXPONENT)
    table = [row for row, count in zip(table, counts, strict=True) if count]
    counts = counts[counts > 0]
    brands = []
    for row, count in zip(table, counts, strict=True):
        weights = np.array(list(row.brands.values())) ** COUNT_EXPONENT
        brands.append(np.repeat(list(row.brands), largest_remainder(int(count), weights)))
    return table, np.repeat(np.arange(len(table)), counts), np.concatenate(brands)


def _category_shares(table: list[tables.Category]) -> FloatArray:
    """Shares of views; those without a code have the published share in all."""
    views = np.array([row.views for row in table])
    uncoded = np.array([row.code is None for row in table])
    if uncoded.all() or not uncoded.any():
        return views / views.sum()
    missing = tables.CODE_MISSING
    return np.where(uncoded, missing * views / views[uncoded].sum(), (1 - missing) * views / views[~uncoded].sum())


def _price_factors(category: IntArray, brand: NDArray[np.str_], rng: np.random.Generator) -> FloatArray:
    names, code = np.unique(brand, return_inverse=True)
    level = np.array([np.log(tables.BRAND_PRICE.get(name, 1.0)) for name in names])
    own = rng.normal(0, BRAND_SIGMA, (category.max() + 1, len(names)))  # a brand isn't dear everywhere
    return np.exp(level[code] + own[category, code] + rng.normal(0, PRICE_SIGMA, len(brand)))


def _style_order(
    category: IntArray, brand: NDArray[np.str_], price_factor: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Order in which neighbours share a style: price level and brand, with some chance.

    A brand has the same place in all categories, so that one taste of a user speaks for them all.
    """
    names, code = np.unique(brand, return_inverse=True)
    place = rng.normal(0, 0.5, len(names))
    style = np.log(price_factor) + place[code] + rng.normal(0, 0.3, len(brand))
    return np.lexsort((style, category))


def _popularity(
    table: list[tables.Category], category: IntArray, brand: NDArray[np.str_], rng: np.random.Generator
) -> FloatArray:
    """Zipf's law within category and brand; then category and brand totals are fitted in turn."""
    names, code = np.unique(brand, return_inverse=True)
    cell = category * len(names) + code
    shuffled = np.lexsort((rng.random(len(brand)), cell))
    starts = np.searchsorted(cell[shuffled], cell[shuffled])
    popularity = np.empty(len(brand))
    popularity[shuffled] = 1.0 / (1 + np.arange(len(brand)) - starts) ** RANK_EXPONENT
    weight = np.array([table[c].brands[name] for c, name in zip(category.tolist(), brand.tolist(), strict=True)])
    popularity *= weight / np.bincount(cell, popularity)[cell]
    by_category = _category_shares(table)
    known = list(tables.BRAND_SHARES)
    group = np.select([brand == name for name in known], range(len(known)), len(known))
    by_brand = np.array([*tables.BRAND_SHARES.values(), 1 - sum(tables.BRAND_SHARES.values())])
    for _ in range(20):  # iterative proportional fitting
        popularity *= (by_brand / np.maximum(np.bincount(group, popularity, len(known) + 1), 1e-12))[group]
        popularity *= (by_category / np.bincount(category, popularity))[category]
    return popularity / popularity.sum()


def _clusters(category_start: IntArray) -> tuple[IntArray, IntArray]:
    """Cluster of each product and first product of each cluster (with the end)."""
    starts = [
        np.linspace(low, high, max(1, round((high - low) / CLUSTER_PRODUCTS)) + 1).astype(np.int64)[:-1]
        for low, high in pairwise(category_start.tolist())
    ]
    start = np.concatenate([*starts, category_start[-1:]])
    return np.repeat(np.arange(len(start) - 1), np.diff(start)), start


def _largest_last(popularity: FloatArray, cluster_start: IntArray) -> IntArray:
    """Order that puts the most popular product of each cluster last in it."""
    order = np.arange(len(popularity))
    for low, high in pairwise(cluster_start.tolist()):
        best = low + int(np.argmax(popularity[low:high]))
        order[[best, high - 1]] = order[[high - 1, best]]
    return order


def _prices(
    table: list[tables.Category],
    category: IntArray,
    popularity: FloatArray,
    price_factor: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Prices with the table's mean in each category and the published mean and maximum over all."""
    mean = np.array([row.price for row in table])
    mass = np.bincount(category, popularity)
    price = (mean * mass / np.bincount(category, popularity * price_factor))[category] * price_factor
    for _ in range(20):  # what the cap takes away is given back by the scale
        scale = tables.MEAN_PRICE["view"] / (popularity @ price)
        price = np.clip(price * scale, tables.MIN_PURCHASE_PRICE, tables.MAX_PRICE)
    price[(rng.random(len(price)) < FREE_SHARE) & (popularity < 1 / len(price))] = 0.0  # none that many see
    price[np.argmax(price)] = tables.MAX_PRICE
    return np.round(price, 2)


def _lives(cluster_start: IntArray, days: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """First and last day on sale of each product."""
    products = int(cluster_start[-1])
    launch, end = np.zeros(products, np.int64), np.full(products, days - 1, np.int64)
    chance, day = rng.random(products), rng.integers(0, days, products)
    launched = chance < LAUNCHED_SHARE
    ended = chance > 1 - ENDED_SHARE
    launch[launched], end[ended] = day[launched], day[ended]
    lasting = cluster_start[1:] - 1
    launch[lasting], end[lasting] = 0, days - 1
    return launch, end


def _appeal(price: FloatArray, wanted: FloatArray, event_type: str) -> FloatArray:
    """`wanted` tilted by a power of the price so that the mean price is the published one; 0 if free."""
    log_price = np.log(np.maximum(price, tables.MIN_PURCHASE_PRICE))
    mean = tables.MEAN_PRICE[event_type] * SATURATION[event_type]
    low, high = -2.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        tilted = wanted * np.exp(middle * log_price) * (price > 0)
        if tilted @ price < mean * tilted.sum():
            low = middle
        else:
            high = middle
    if not tilted.any():  # a shop that gives everything away
        return wanted
    return tilted / tilted.sum()


def _product_ids(category_start: IntArray, rng: np.random.Generator) -> IntArray:
    """Unique ids; those of a category lie together, as in the real log."""
    ids = [
        FIRST_PRODUCT_ID + number * CATEGORY_IDS + rng.choice(CATEGORY_IDS, size, replace=False)
        for number, size in enumerate(np.diff(category_start).tolist())
    ]
    return np.concatenate(ids).astype(np.int64)
