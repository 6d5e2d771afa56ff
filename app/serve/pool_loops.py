"""Loops over what is proposed to visits: put together, cut, described, summed up by trees, and ranked."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from app.serve.compiled import (
    DOUBLE_TABLE,
    DOUBLES,
    FLOATS,
    INT,
    INT8S,
    INT32_TABLE,
    INT64S,
    TABLE,
    compiled,
    given,
    kept,
)
from app.serve.ragged import NONE

_LOW = 0xFFFFFFFF
AT_ONCE = 512  #: rows that go through a tree together: what is known of them stays near the processor


@compiled(INT32_TABLE, TABLE, INT64S, INT64S, given(types.bool_), INT64S, INT)
def pooled(
    items: NDArray, own: NDArray, generator_of: NDArray, place_of: NDArray, available: NDArray, excluded: NDArray,
    generators: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:  # fmt: skip
    """What is proposed to n visits, each product once a visit: keys (m,), ranks (m, g) and scores (m, g) of a `Pool`.

    `items`, `own` (n, w): products and their scores; a column is the place `place_of` (w,) of the list of the generator
    `generator_of` (w,). Left out are products that are not `available` (p,; all are if it is empty), and the sorted
    pairs `excluded`.
    """
    n, width = items.shape
    keys = np.empty(n * width, np.int64)
    ranks, scores = np.zeros((n * width, generators), np.int32), np.zeros((n * width, generators), np.float32)
    proposed, count, out = np.empty(width, np.int64), 0, 0
    for visit in range(n):
        size = 0
        for column in range(width):
            item = items[visit, column]
            if item != NONE and (len(available) == 0 or available[item]):
                proposed[size] = np.int64(item) << 32 | column
                size += 1
        proposed[:size].sort()
        before = np.int64(-1)
        for each in proposed[:size]:
            key, column = np.int64(visit) << 32 | each >> 32, each & _LOW
            while out < len(excluded) and excluded[out] < key:
                out += 1
            if out < len(excluded) and excluded[out] == key:
                continue
            if key != before:
                keys[count], before = key, key
                count += 1
            ranks[count - 1, generator_of[column]] = place_of[column] + 1
            scores[count - 1, generator_of[column]] = own[visit, column]
    return keys[:count].copy(), ranks[:count].copy(), scores[:count].copy()


@compiled(INT32_TABLE, DOUBLES, types.float64)
def reciprocal(ranks: NDArray, weights: NDArray, offset: float) -> NDArray[np.float64]:
    """What each generator (g,) adds to a proposal: its weight over offset and rank, 0 where it has none: (m, g)."""
    found = np.zeros(ranks.shape)
    for place in range(len(ranks)):
        for number in range(len(weights)):
            if ranks[place, number] > 0:
                found[place, number] = weights[number] / (offset + ranks[place, number])
    return found


@compiled(INT64S, DOUBLE_TABLE, INT)
def best_entries(keys: NDArray, terms: NDArray, depth: int) -> NDArray[np.int64]:
    """Which proposals (m,), ascending, are the `depth` best of their visit, by the sum of their terms (m, g) in single
    precision, of equal ones the smaller product; none of a sum of 0."""
    proposed = len(keys)
    totals, chosen, count = np.empty(proposed, np.float32), np.empty(proposed, np.int64), 0
    bits, packed, first = totals.view(np.int32), np.empty(proposed, np.int64), 0
    for place in range(proposed):
        total = 0.0
        for number in range(terms.shape[1]):
            total += terms[place, number]
        totals[place] = total
        packed[place] = np.int64(bits[place]) << 32 | (_LOW - place)
        if place + 1 == proposed or keys[place + 1] >> 32 != keys[place] >> 32:
            theirs, least = packed[first : place + 1], np.int64(0)
            if len(theirs) > depth:
                least = np.partition(theirs, len(theirs) - depth)[len(theirs) - depth]
            for entry in range(first, place + 1):
                if totals[entry] > 0 and packed[entry] >= least:
                    chosen[count] = entry
                    count += 1
            first = place + 1
    return chosen[:count]


@compiled(INT64S, FLOATS, DOUBLE_TABLE, INT, INT)
def ranked(
    keys: NDArray, scores: NDArray, terms: NDArray, visits: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int8]]:
    """The k products of each visit (n, k) with the best scores above 0, of equal ones the smaller; these scores; and of
    each the generator with the largest term (m, g), the first of equal ones."""
    items, best = np.full((visits, k), NONE, np.int32), np.zeros((visits, k), np.float32)
    sources, single = np.full((visits, k), NONE, np.int8), scores.copy()
    bits, packed, size, proposed = single.view(np.int32), np.empty(len(keys), np.int64), 0, len(keys)
    for entry in range(proposed):
        if single[entry] > 0:
            packed[size] = np.int64(bits[entry]) << 32 | (_LOW - entry)
            size += 1
        if entry + 1 == proposed or keys[entry + 1] >> 32 != keys[entry] >> 32:
            visit = keys[entry] >> 32
            packed[:size].sort()
            for place in range(min(k, size)):
                chosen = _LOW - (packed[size - 1 - place] & _LOW)
                items[visit, place], best[visit, place] = keys[chosen] & _LOW, single[chosen]
                sources[visit, place] = np.argmax(terms[chosen])
            size = 0
    return items, best, sources


@compiled(INT64S, INT)
def begins(keys: NDArray, visits: int) -> NDArray[np.int64]:
    """Where the proposals of each visit begin, and where the last end, by their sorted keys (m,): (visits + 1,)."""
    offsets = np.zeros(visits + 1, np.int64)
    for key in keys:
        offsets[(key >> 32) + 1] += 1
    return offsets.cumsum()


@compiled(INT64S, INT64S, INT8S, FLOATS, DOUBLES, DOUBLES, INT64S)
def touches_of(
    offsets: NDArray, products: NDArray, kinds: NDArray, weights: NDArray, times: NDArray, now: NDArray, keys: NDArray
) -> NDArray[np.float32]:
    """Of each proposal (m,), by its sorted key, that its visit touched: the kind, the weight, how many seconds ago it
    was `now` (n,), and how many were touched after it: (4, m); NaN for others."""
    found = np.full((4, len(keys)), np.nan, np.float32)
    for visit in range(len(offsets) - 1):
        for entry in range(offsets[visit], offsets[visit + 1]):
            key = np.int64(visit) << 32 | products[entry]
            place = np.searchsorted(keys, key)
            if place < len(keys) and keys[place] == key:
                found[0, place], found[1, place] = kinds[entry], weights[entry]
                found[2, place], found[3, place] = now[visit] - times[entry], offsets[visit + 1] - 1 - entry
    return found


@compiled(INT64S, INT64S, INT64S, INT64S, INT32_TABLE)
def alike(
    offsets: NDArray, products: NDArray, proposals: NDArray, items: NDArray, kinds: NDArray
) -> NDArray[np.float32]:
    """Share of what a visit touched that is of the same kind as each proposal, by each of the `kinds` (q, p): the
    later, the more it counts; 0 where the kind is not known: (q, m). Visit v has
    `items[proposals[v]:proposals[v + 1]]`."""
    found = np.zeros((len(kinds), len(items)), np.float32)
    for visit in range(len(offsets) - 1):
        first, end = offsets[visit], offsets[visit + 1]
        every = 0.0
        for entry in range(first, end):
            every += 1 / (end - entry)
        for number in range(len(kinds)):
            kind = kinds[number]
            for place in range(proposals[visit], proposals[visit + 1]):
                mine, same = kind[items[place]], 0.0
                if mine != NONE:
                    for entry in range(first, end):
                        if kind[products[entry]] == mine:
                            same += 1 / (end - entry)
                if same > 0:
                    found[number, place] = same / every
    return found


@compiled(INT64S, INT64S, kept(types.float32))
def usual(offsets: NDArray, products: NDArray, price: NDArray) -> NDArray[np.float32]:
    """Mean price of what each visit touched: the later, the more it counts; NaN where no price is known: (n,)."""
    found = np.full(len(offsets) - 1, np.nan, np.float32)
    for visit in range(len(found)):
        total = count = 0.0
        for entry in range(offsets[visit], offsets[visit + 1]):
            if not np.isnan(price[products[entry]]):
                total += price[products[entry]] / (offsets[visit + 1] - entry)
                count += 1 / (offsets[visit + 1] - entry)
        if count > 0:
            found[visit] = total / count
    return found


@compiled(INT64S, INT64S, TABLE, FLOATS)
def of_products(rows: NDArray, items: NDArray, numbers: NDArray, usual: NDArray) -> NDArray[np.float32]:
    """The `numbers` (p, q) of the product of each proposal (m,), and how its price, the last of them, differs from the
    `usual` one of its visit (n,): (q + 1, m)."""
    width = numbers.shape[1]
    found = np.empty((width + 1, len(items)), np.float32)
    for place in range(len(items)):
        found[:width, place] = numbers[items[place]]
        found[width, place] = found[width - 1, place] - usual[rows[place]]
    return found


@compiled(INT64S, INT64S, INT64S, INT64S)
def of_visits(rows: NDArray, session: NDArray, history: NDArray, users: NDArray) -> NDArray[np.float32]:
    """Of the visit of each proposal (m,): how many products its session and its history have, by their offsets
    (n + 1,), and whether its user (n,) is known: (3, m)."""
    found = np.empty((3, len(rows)), np.float32)
    for place in range(len(rows)):
        row = rows[place]
        found[0, place], found[1, place] = session[row + 1] - session[row], history[row + 1] - history[row]
        found[2, place] = users[row] != NONE
    return found


@compiled(INT64S, INT32_TABLE, TABLE, DOUBLE_TABLE)
def of_generators(proposals: NDArray, ranks: NDArray, scores: NDArray, terms: NDArray) -> NDArray[np.float32]:
    """What g generators say of each proposal: (2 g + 3, m). The reciprocal `ranks` (m, g), 0 where there is none; the
    `scores` (m, g) as a share of their visit's best; how many propose it; the sum of its `terms` (m, g), and that as a
    share of their visit's best. Visit v has the proposals `proposals[v]` … `proposals[v + 1] - 1`."""
    proposed, generators = ranks.shape
    found, best = np.zeros((2 * generators + 3, proposed), np.float32), np.empty(generators, np.float32)
    totals = np.empty(proposed)
    for visit in range(len(proposals) - 1):
        best[:], most = 0, 0.0
        for place in range(proposals[visit], proposals[visit + 1]):
            totals[place] = 0.0
            for number in range(generators):
                best[number] = max(best[number], scores[place, number])
                totals[place] += terms[place, number]
            most = max(most, totals[place])
        for place in range(proposals[visit], proposals[visit + 1]):
            for number in range(generators):
                if ranks[place, number] > 0:
                    found[number, place] = 1 / ranks[place, number]
                    found[2 * generators, place] += 1
                if best[number] > 0:
                    found[generators + number, place] = scores[place, number] / best[number]
            found[2 * generators + 1, place] = totals[place]
            found[2 * generators + 2, place] = totals[place] / most if most > 0 else 0.0
    return found


@compiled(
    TABLE, *(kept(of) for of in (types.int64, types.int64, types.float32, types.bool_, types.uint16)),
    DOUBLE_TABLE, kept(types.int8),
)  # fmt: skip
def tree_sums(
    columns: NDArray, starts: NDArray, features: NDArray, thresholds: NDArray, missing_right: NDArray, left: NDArray,
    leaves: NDArray, first_left: NDArray,
) -> NDArray[np.float64]:  # fmt: skip
    """The sums (n,) of the leaves (t, l) that rows reach in t trees, by their features: `columns` (f, n).

    Tree t has the nodes `starts[t]` … `starts[t + 1] - 1`; one strikes out the leaves `left`, as bits, of a row whose
    feature is above the threshold, or is missing, if `missing_right`. `first_left`: by the bits that are struck out,
    the first leaf that is not.
    """
    found = np.zeros(columns.shape[1])
    gone = np.empty(AT_ONCE, np.uint16)
    for start in range(0, len(found), AT_ONCE):
        end = min(start + AT_ONCE, len(found))
        for tree in range(len(starts) - 1):
            gone[:] = 0
            for node in range(starts[tree], starts[tree + 1]):
                values, threshold, bits = columns[features[node], start:end], thresholds[node], left[node]
                if missing_right[node]:
                    for place in range(len(values)):
                        gone[place] |= np.uint16(0) if values[place] <= threshold else bits
                else:
                    for place in range(len(values)):
                        gone[place] |= bits if values[place] > threshold else np.uint16(0)
            for place in range(end - start):
                found[start + place] += leaves[tree, first_left[gone[place]]]
    return found
