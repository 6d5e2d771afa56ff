"""Loops over visits and products: sums of rows, products of factors, and which product speaks for another."""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from app.serve.compiled import (
    DOUBLE_TABLE,
    FLOATS,
    INT,
    INT32S,
    INT64S,
    ROWS,
    TABLE,
    compiled,
    inner,
    inner_sum,
    kept,
)
from app.serve.ragged import NONE

_LOW, _LARGEST = 0xFFFFFFFF, 0x7FFFFFFF
IN_SIGHT = 256  #: products whose factors stay near the processor
OTHER_BITS = 19  #: of a sum's 32, behind those that it is counted by: its exponent, and 4 of its fraction
COUNTS = 1 << 31 - OTHER_BITS
INFINITE = 0x7F800000  #: the bits of infinity; what is no number has larger ones


@inner
def _key(score_bits: np.int32, item: int) -> Any:
    """One integer that sorts as the score, which is above 0, then with the smaller item first."""
    return np.int64(score_bits) << 32 | (_LARGEST - item)


@inner
def _push(heap: NDArray[np.int64], size: int, key: int) -> int:
    """Take a key among the highest, of which `heap[:size]` holds as many as it has room for; gives the new size."""
    if size < len(heap):
        place = size
        while place > 0 and heap[(place - 1) >> 1] > key:
            heap[place] = heap[(place - 1) >> 1]
            place = (place - 1) >> 1
        heap[place] = key
        return size + 1
    if size == 0 or key <= heap[0]:
        return size
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = key
    return size


@inner
def _best(
    products: NDArray[np.int32], sum_bits: NDArray[np.int32], k: int, counts: NDArray[np.int32], keys: NDArray[np.int64]
) -> Any:
    """Keys of the k of some products that have the largest sums (p,) above 0, ascending, in a part of `keys` (p + 1,).

    A heap takes three times as long: what it is to do next cannot be foreseen. Here sums are counted (`COUNTS`,) by
    their first bits, and those that may be among the best are sorted.
    """
    counts[:] = 0
    for item in products:
        if 0 < sum_bits[item] <= INFINITE:
            counts[sum_bits[item] >> OTHER_BITS] += 1
    first, missing = COUNTS, k
    while first > 0 and missing > 0:
        first -= 1
        missing -= counts[first]
    least, size = max(first << OTHER_BITS, 1), 0
    for item in products:
        keys[size] = _key(sum_bits[item], item)
        size += least <= sum_bits[item] <= INFINITE
    keys[:size].sort()
    return keys[max(size - k, 0) : size]


@inner
def _ranked(keys: NDArray[np.int64], items: NDArray[np.int32], score_bits: NDArray[np.int32]) -> None:
    """Write the items and scores of ascending keys, the highest first."""
    for place in range(len(keys)):
        key = keys[len(keys) - 1 - place]
        items[place] = _LARGEST - (key & _LOW)
        score_bits[place] = key >> 32


@inner_sum
def _dot(left: NDArray[np.float32], right: NDArray[np.float32]) -> Any:
    total = np.float32(0)
    for place in range(len(left)):
        total += left[place] * right[place]
    return total


@inner_sum
def _solve(left: NDArray[np.float64], right: NDArray[np.float64]) -> None:
    """Put x of left · x = right in the place of `right`, by Cholesky's method; of `left` the lower half is used up."""
    width = len(right)
    for i in range(width):
        for j in range(i + 1):
            total = left[i, j]
            for k in range(j):
                total -= left[i, k] * left[j, k]
            left[i, j] = np.sqrt(total) if i == j else total / left[j, j]
        for k in range(i):
            right[i] -= left[i, k] * right[k]
        right[i] /= left[i, i]
    for i in range(width - 1, -1, -1):
        right[i] /= left[i, i]
        for k in range(i):
            right[k] -= left[i, k] * right[i]


@inner_sum
def _four(vector: NDArray[np.float32], rows: NDArray[np.float32], i: int, j: int, k: int, m: int) -> Any:
    """The products of a vector (f,) with four rows: together they take half as long, near the processor or far."""
    first = second = third = fourth = np.float32(0)
    for place in range(len(vector)):
        factor = vector[place]
        first += factor * rows[i, place]
        second += factor * rows[j, place]
        third += factor * rows[k, place]
        fourth += factor * rows[m, place]
    return first, second, third, fourth


@inner_sum
def _dots(vector: NDArray[np.float32], rows: NDArray[np.float32], found: NDArray[np.float32]) -> None:
    """The product of a vector (f,) with each row (r, f): as `_four`, which takes longer for rows side by side."""
    fours = len(rows) // 4 * 4
    for row in range(0, fours, 4):
        first = second = third = fourth = np.float32(0)
        for place in range(len(vector)):
            factor = vector[place]
            first += factor * rows[row, place]
            second += factor * rows[row + 1, place]
            third += factor * rows[row + 2, place]
            fourth += factor * rows[row + 3, place]
        found[row], found[row + 1], found[row + 2], found[row + 3] = first, second, third, fourth
    for row in range(fours, len(rows)):
        found[row] = _dot(vector, rows[row])


@inner
def _added(
    rows: NDArray, weights: NDArray, starts: NDArray, ends: NDArray, items: NDArray, values: NDArray,
    sums: NDArray[np.float32], reached: NDArray[np.int32], reached_by: NDArray[np.int32], visit: int,
) -> int:  # fmt: skip
    """Add up the rows of one visit in `sums`; gives how many products they reach, which stand in `reached`."""
    count = 0
    for entry in range(len(rows)):
        row, weight = rows[entry], weights[entry]
        for place in range(starts[row], ends[row]):
            item = items[place]
            if item == NONE:
                continue
            value = weight * values[place]
            if reached_by[item] == visit:
                sums[item] += value
            else:
                reached_by[item] = visit
                sums[item] = value
                reached[count] = item
                count += 1
    return count


@compiled(INT64S, INT64S, FLOATS, *ROWS, INT, INT)
def best_sums(
    offsets: NDArray, rows: NDArray, weights: NDArray, starts: NDArray, ends: NDArray, items: NDArray, values: NDArray,
    products: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """The k products (n, k) of the largest sums above 0, of equal ones the smaller, and these sums.

    Visit v adds up `rows[offsets[v]:offsets[v + 1]]`, each times its weight; row r gives `items[starts[r]:ends[r]]`,
    but for `NONE`, their `values`.
    """
    n = len(offsets) - 1
    best, scores = np.full((n, k), NONE, np.int32), np.zeros((n, k), np.float32)
    sums, reached = np.empty(products, np.float32), np.empty(products, np.int32)
    reached_by, keys = np.full(products, NONE, np.int32), np.empty(products + 1, np.int64)
    counts = np.empty(COUNTS, np.int32)
    sum_bits, score_bits = sums.view(np.int32), scores.view(np.int32)
    for visit in range(n):
        first, end = offsets[visit], offsets[visit + 1]
        count = _added(
            rows[first:end], weights[first:end], starts, ends, items, values, sums, reached, reached_by, visit
        )
        _ranked(_best(reached[:count], sum_bits, k, counts, keys), best[visit], score_bits[visit])
    return best, scores


@compiled(INT64S, INT64S, *ROWS, TABLE, TABLE, INT, INT)
def best_near(
    offsets: NDArray, rows: NDArray, starts: NDArray, ends: NDArray, items: NDArray, values: NDArray,
    inward: NDArray, outward: NDArray, nearest: int, k: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """As `best_sums` with weights of 1, but that the `nearest` best get the product of factors added: that of the sum
    of their visit's rows of `inward` (p, f) with their own row of `outward` (p, f)."""
    n, products = len(offsets) - 1, len(outward)
    best, scores = np.full((n, k), NONE, np.int32), np.zeros((n, k), np.float32)
    sums, reached, near = np.empty(products, np.float32), np.empty(products, np.int32), np.empty(nearest + 3, np.int32)
    reached_by, keys = np.full(products, NONE, np.int32), np.empty(products + 1, np.int64)
    counts = np.empty(COUNTS, np.int32)
    sum_bits, score_bits = sums.view(np.int32), scores.view(np.int32)
    ones, low_pass = np.ones(len(rows), np.float32), np.empty(inward.shape[1], np.float32)
    for visit in range(n):
        first, end = offsets[visit], offsets[visit + 1]
        count = _added(rows[first:end], ones[first:end], starts, ends, items, values, sums, reached, reached_by, visit)
        nearest_keys = _best(reached[:count], sum_bits, nearest, counts, keys)
        close = len(nearest_keys)
        near[:close], near[close : close + 3] = _LARGEST - (nearest_keys & _LOW), 0  # the last four may be fewer
        low_pass[:] = 0
        for row in rows[first:end]:
            low_pass += inward[row]
        for place in range(0, close, 4):
            four = near[place : place + 4]
            more = _four(low_pass, outward, four[0], four[1], four[2], four[3])
            for number in range(min(4, close - place)):
                sums[four[number]] += more[number]
        _ranked(_best(near[:close], sum_bits, k, counts, keys), best[visit], score_bits[visit])
    return best, scores


@compiled(INT32S, TABLE, INT64S, INT64S, FLOATS, TABLE, DOUBLE_TABLE)
def user_vectors(
    users: NDArray, user_factors: NDArray, offsets: NDArray, rows: NDArray, confidence: NDArray, factors: NDArray,
    gram: NDArray,
) -> NDArray[np.float32]:  # fmt: skip
    """The vectors (n, f) of n visits: the `user_factors` (u, f) of users (n,) who are not `NONE`, for the others what
    fits best what they touched, 0 for one without any.

    That is x of (gram + Σ (c - 1) y yᵀ) x = Σ c y, over the `factors` (p, f) y of their `rows` with `confidence` c;
    `gram` (f, f): its lower half.
    """
    n, width = len(offsets) - 1, factors.shape[1]
    found, left, solved = np.zeros((n, width), np.float32), np.empty((width, width)), np.empty(width)
    for visit in range(n):
        if users[visit] != NONE:
            found[visit] = user_factors[users[visit]]
            continue
        if offsets[visit] == offsets[visit + 1]:
            continue
        left[:], solved[:] = gram, 0
        # In the order of the products: else the same ones, touched in another, would differ in the last bits.
        for entry in offsets[visit] + np.argsort(rows[offsets[visit] : offsets[visit + 1]]):
            vector, much = factors[rows[entry]], np.float64(confidence[entry])
            for i in range(width):
                solved[i] += much * vector[i]
                for j in range(i + 1):
                    left[i, j] += (much - 1) * vector[i] * vector[j]
        _solve(left, solved)
        found[visit] = solved
    return found


@compiled(TABLE, TABLE, kept(types.float32), kept(types.int32), INT)
def best_products(
    vectors: NDArray, factors: NDArray, lengths: NDArray, products: NDArray, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k `products` (p,) whose `factors` (p, f) have the largest products above 0 with each of the `vectors` (n, f),
    and these; of equal ones the smaller.

    The `lengths` (p,) of the factors descend: none is larger than a vector's own length times that of the factors, so
    that a vector needs no look at those that are too short.
    """
    n = len(vectors)
    best, scores = np.full((n, k), NONE, np.int32), np.zeros((n, k), np.float32)
    heaps, sizes, score_bits = np.empty((n, k), np.int64), np.zeros(n, np.int64), scores.view(np.int32)
    reach, least = np.empty(n, np.float32), np.zeros(n, np.float32)
    for visit in range(n):
        reach[visit] = np.sqrt(_dot(vectors[visit], vectors[visit]))
    found, last = np.empty(IN_SIGHT, np.float32), np.empty(1, np.float32)
    found_bits, last_bits = found.view(np.int32), last.view(np.int32)
    undecided = np.arange(n)
    for start in range(0, len(products), IN_SIGHT):
        undecided = undecided[reach[undecided] * lengths[start] > least[undecided]]
        if len(undecided) == 0:
            break
        block = factors[start : start + IN_SIGHT]
        for visit in undecided:
            _dots(vectors[visit], block, found)
            heap, size, floor = heaps[visit], sizes[visit], least[visit]
            for place in range(len(block)):
                if found[place] > 0 and found[place] >= floor:
                    size = _push(heap, size, _key(found_bits[place], products[start + place]))
                    if size == k:
                        last_bits[0] = heap[0] >> 32
                        floor = last[0]
            sizes[visit], least[visit] = size, floor
    for visit in range(n):
        heaps[visit, : sizes[visit]].sort()
        _ranked(heaps[visit, : sizes[visit]], best[visit], score_bits[visit])
    return best, scores


@inner
def _value(item: int, start: int, end: int, items: NDArray, values: NDArray, ascending: bool) -> Any:
    """The value of an item in a row, 0 if the row does not list it."""
    if ascending:
        found = start + np.searchsorted(items[start:end], item)
        return values[found] if found < end and items[found] == item else np.float32(0)
    for place in range(start, end):
        if items[place] == item:
            return values[place]
    return np.float32(0)


@compiled(INT64S, INT64S, FLOATS, INT64S, INT64S, *ROWS, types.boolean, TABLE, TABLE)
def strongest(
    offsets: NDArray, rows: NDArray, weights: NDArray, visits: NDArray, wanted: NDArray, starts: NDArray, ends: NDArray,
    items: NDArray, values: NDArray, ascending: bool, left: NDArray, right: NDArray,
) -> NDArray[np.int64]:  # fmt: skip
    """Which of its visit's rows gives each wanted item (m,) most: its place among all, the first of equal ones;
    `NONE` if none gives anything.

    A row gives its weight times the sum of its value for the item, as in `best_sums`, and of the product of its `left`
    (r, f) with the item's `right` (p, f). `ascending`: each row lists its items so.
    """
    found = np.full(len(wanted), NONE, np.int64)
    for place in range(len(wanted)):
        item, most = wanted[place], np.float32(0)
        for entry in range(offsets[visits[place]], offsets[visits[place] + 1]):
            row = rows[entry]
            given = _dot(left[row], right[item]) + _value(item, starts[row], ends[row], items, values, ascending)
            if given * weights[entry] > most:
                most = given * weights[entry]
                found[place] = entry
    return found
