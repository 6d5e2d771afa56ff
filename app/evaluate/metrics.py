"""Ranking metrics with binary relevance, over the whole catalogue.

Definitions follow Järvelin & Kekäläinen (2002) for NDCG and the common ones for the others; with a
single relevant product, HR@k equals recall@k.
"""

import numpy as np
from numpy.typing import NDArray

from app.evaluate.names import CUTOFFS

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  #: splitmix64 counts by it
POISSON_LIMITS = np.cumsum(np.exp(-1.0) / np.array([1, 1, 2, 6, 24, 120, 720, 5040]))


def ranking_metrics(hit: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Metrics of each query.

    Parameters
    ----------
    hit
        (n, k): whether the product at each place is relevant; k >= the largest cutoff, else places
        that are missing count as misses.
    relevant
        (n,): number of relevant products, at least 1.

    Returns
    -------
    ndarray
        (n, len(METRICS)), columns in the order of `METRICS`.
    """
    columns = []
    for k in CUTOFFS:
        top = hit[:, :k].astype(np.float64)
        found = top.sum(axis=1)
        discount = 1 / np.log2(np.arange(2, k + 2))
        ideal = np.cumsum(discount)[np.minimum(relevant, k) - 1]
        first = np.where(found > 0, top.argmax(axis=1) + 1, np.inf)
        columns += [found > 0, top @ discount[: top.shape[1]] / ideal, 1 / first, found / relevant]
    return np.column_stack(columns).astype(np.float64)


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each number: what ends splitmix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators",
    2014)."""
    with np.errstate(over="ignore"):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
        return numbers ^ (numbers >> np.uint64(31))


def poisson_weights(queries: NDArray[np.int64], replicates: int) -> NDArray[np.float64]:
    """Bootstrap weights (n, 1 + replicates): a column of ones, then Poisson(1) counts.

    Each query's counts come from a hash of its number alone: they do not depend on how queries are
    spread over workers, and two models asked the same queries can be compared pairwise.
    Chamandy et al., "Estimating Uncertainty for Massive Data Streams" (2012).
    """
    with np.errstate(over="ignore"):
        state = queries.astype(np.uint64)[:, None] + np.arange(1, replicates + 1, dtype=np.uint64) * GOLDEN_GAMMA
    state = mixed(state)
    uniform = (state >> np.uint64(11)).astype(np.float64) / 2**53
    counts = np.searchsorted(POISSON_LIMITS, uniform, side="right").astype(np.float64)
    return np.column_stack([np.ones(len(queries)), counts])


def interval(replicates: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of bootstrap replicates."""
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)
