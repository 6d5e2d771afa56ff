"""Loops over what visits touched: brought together, and what of it must not be in a list."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from app.serve.compiled import DOUBLES, FLOATS, INT, INT8S, INT32_TABLE, INT32S, INT64S, TABLE, compiled
from app.serve.ragged import NONE

#: offsets, products, kinds, weights, times
TOUCHES = (INT64S, INT64S, INT8S, FLOATS, DOUBLES)


@compiled(INT64S, *TOUCHES, types.float64, INT)
def folded(
    starts: NDArray, stops: NDArray, products: NDArray, kinds: NDArray, weights: NDArray, times: NDArray,
    largest: float, latest: int,
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:  # fmt: skip
    """Of n visits the touches `starts` … `stops` - 1 with each product once, in the order of its last touch, of equal
    ones the smaller product first: offsets (n + 1,), products, kinds, weights, times. The highest kind counts, the sum
    of the weights, `largest` at most, and the latest time; of these the `latest` products of each visit are kept."""
    n, size = len(starts), (stops - starts).sum()
    ends, product_of, kind_of = np.zeros(n + 1, np.int64), np.empty(size, np.int64), np.empty(size, np.int8)
    weight_of, time_of = np.empty(size, np.float32), np.empty(size)
    group, last = np.empty(size, np.int64), np.empty(size)
    for visit in range(n):
        first, end, groups = starts[visit], stops[visit], 0
        order = first + np.argsort(times[first:end], kind="mergesort")
        order = order[np.argsort(products[order], kind="mergesort")]
        for place in range(len(order)):
            if place == 0 or products[order[place]] != products[order[place - 1]]:
                group[groups] = place
                groups += 1
            last[groups - 1] = times[order[place]]
        out = ends[visit]
        for number in np.argsort(last[:groups], kind="mergesort")[max(groups - latest, 0) :]:
            begun, past = group[number], group[number + 1] if number + 1 < groups else len(order)
            product_of[out], time_of[out] = products[order[begun]], last[number]
            kind_of[out], weight_of[out] = kinds[order[begun]], weights[order[begun]]
            for entry in order[begun + 1 : past]:
                kind_of[out] = max(kind_of[out], kinds[entry])
                weight_of[out] += weights[entry]
            weight_of[out] = min(weight_of[out], np.float32(largest))
            out += 1
        ends[visit + 1] = out
    kept = ends[n]
    return ends, product_of[:kept], kind_of[:kept], weight_of[:kept], time_of[:kept]


@compiled(INT64S, INT64S, INT32S, INT8S, FLOATS, DOUBLES)
def of_users(
    users: NDArray, offsets: NDArray, products: NDArray, kinds: NDArray, weights: NDArray, times: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """The touches of the wanted users (n,), by their rows; `NONE` has none."""
    n = len(users)
    ends = np.zeros(n + 1, np.int64)
    for row in range(n):
        user = users[row]
        ends[row + 1] = ends[row] + (offsets[user + 1] - offsets[user] if user != NONE else 0)
    product_of, kind_of = np.empty(ends[n], np.int64), np.empty(ends[n], np.int8)
    weight_of, time_of = np.empty(ends[n], np.float32), np.empty(ends[n])
    for row in range(n):
        if users[row] != NONE:
            first = offsets[users[row]] - ends[row]
            for out in range(ends[row], ends[row + 1]):
                product_of[out], kind_of[out] = products[first + out], kinds[first + out]
                weight_of[out], time_of[out] = weights[first + out], times[first + out]
    return ends, product_of, kind_of, weight_of, time_of


@compiled(*TOUCHES, *TOUCHES)
def followed(
    offsets: NDArray, products: NDArray, kinds: NDArray, weights: NDArray, times: NDArray,
    then_offsets: NDArray, then_products: NDArray, then_kinds: NDArray, then_weights: NDArray, then_times: NDArray,
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:  # fmt: skip
    """Each visit's touches, but for those of products that come again, and then those that follow."""
    n, size = len(offsets) - 1, len(products) + len(then_products)
    ends, product_of, kind_of = np.zeros(n + 1, np.int64), np.empty(size, np.int64), np.empty(size, np.int8)
    weight_of, time_of = np.empty(size, np.float32), np.empty(size)
    for visit in range(n):
        out, begun, end = ends[visit], then_offsets[visit], then_offsets[visit + 1]
        for entry in range(offsets[visit], offsets[visit + 1]):
            again = False
            for other in then_products[begun:end]:
                again |= other == products[entry]
            if not again:
                product_of[out], kind_of[out] = products[entry], kinds[entry]
                weight_of[out], time_of[out] = weights[entry], times[entry]
                out += 1
        for entry in range(begun, end):
            product_of[out], kind_of[out] = then_products[entry], then_kinds[entry]
            weight_of[out], time_of[out] = then_weights[entry], then_times[entry]
            out += 1
        ends[visit + 1] = out
    kept = ends[n]
    return ends, product_of[:kept], kind_of[:kept], weight_of[:kept], time_of[:kept]


@compiled(INT32S, INT64S, INT64S, INT8S, INT)
def seen(on_screen: NDArray, offsets: NDArray, products: NDArray, kinds: NDArray, bought: int) -> NDArray[np.int64]:
    """Keys of visits and products: the one on screen (n,), `NONE` without one, and those that the kind says were
    `bought`."""
    found, count = np.empty(len(on_screen) + len(products), np.int64), 0
    for visit in range(len(on_screen)):
        if on_screen[visit] != NONE:
            found[count] = visit << 32 | on_screen[visit]
            count += 1
        for entry in range(offsets[visit], offsets[visit + 1]):
            if kinds[entry] == bought:
                found[count] = visit << 32 | products[entry]
                count += 1
    return found[:count]


@compiled(INT64S, INT64S, INT64S, INT32S, INT64S, DOUBLES)
def bought_since(
    visits: NDArray, users: NDArray, offsets: NDArray, items: NDArray, at: NDArray, since: NDArray
) -> NDArray[np.int64]:
    """Keys of visits and products: what each of some users (m,), `NONE` for an unknown one, bought at or after the
    moment `since` (n,) of its visit (m,)."""
    size = 0
    for user in users:
        size += offsets[user + 1] - offsets[user] if user != NONE else 0
    found, count = np.empty(size, np.int64), 0
    for row in range(len(users)):
        if users[row] != NONE:
            for entry in range(offsets[users[row]], offsets[users[row] + 1]):
                if at[entry] >= since[visits[row]]:
                    found[count] = visits[row] << 32 | items[entry]
                    count += 1
    return found[:count]


@compiled(INT64S, INT32_TABLE, TABLE, INT, INT, types.float64)
def levels(
    segments: NDArray, categories: NDArray, interest: NDArray, everyone: int, whole_shop: int, next_level: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Whose popular products of which category each of n visits is shown, and how much they count: offsets (n + 1,),
    cells and weights. Cell `segment * (whole_shop + 1) + category` is that of a segment and a category.

    First those of the visit's segment (n,) in its `categories` (n, c), by their share of the `interest` (n, c); then
    of `everyone` in these, of its segment in the `whole_shop`, and of everyone in it: each level counts `next_level`
    times the one before.
    """
    n, most, less = len(segments), 2 * categories.shape[1] + 2, np.float32(next_level)
    offsets, cells, weights, count = np.zeros(n + 1, np.int64), np.empty(n * most, np.int64), np.empty(n * most), 0
    for visit in range(n):
        segment, total = segments[visit], max(interest[visit].sum(), np.float32(1e-9))
        for of, counts in ((segment, np.float32(1)), (everyone, less)):
            for place in range(categories.shape[1]):
                if categories[visit, place] != NONE:
                    cells[count] = of * (whole_shop + 1) + categories[visit, place]
                    weights[count] = interest[visit, place] / total * counts
                    count += 1
        cells[count], weights[count] = segment * (whole_shop + 1) + whole_shop, next_level**2
        cells[count + 1], weights[count + 1] = everyone * (whole_shop + 1) + whole_shop, next_level**3
        count += 2
        offsets[visit + 1] = count
    return offsets, cells[:count], weights[:count].astype(np.float32)
