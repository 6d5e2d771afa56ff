"""Loops over what is proposed to visits: put together, described, and summed up by trees."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from app.serve.compiled import DOUBLES, FLOATS, INT, INT8S, INT32_TABLE, INT64S, TABLE, compiled, given, kept
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


@compiled(INT64S, INT32_TABLE, TABLE, kept(types.float64, 2))
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
    kept(types.float64, 2), kept(types.int8),
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
