"""How many segments a shop has: as many as are found again in other samples of its users, and are well set apart.

Stability over bootstrap samples as in Hennig, "Cluster-wise assessment of cluster stability" (2007), by the adjusted
Rand index (Hubert, Arabie, 1985) between the clusters of all and those of a sample; silhouette of Rousseeuw (1987).
"""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.core.settings import MOST_SEGMENTS
from app.insight.results import TriedNumber

NUMBERS = range(2, MOST_SEGMENTS + 1)  #: that are tried
USERS, JUDGED_USERS = 10_000, 2_000  #: clustered; and those the silhouette compares, each with each
SAMPLES = 5
STARTS = 3
STABLE = 0.8  #: adjusted Rand index from which on clusters count as found again
AS_GOOD = 0.02  #: a silhouette lower by less than this is no reason to leave the number of the training before


def try_numbers(users: NDArray[np.float64], seed: int) -> tuple[TriedNumber, ...]:
    """Silhouette and stability of each number; those beyond the number of distinct users are left out.

    Parameters
    ----------
    users
        (n, features), in no order that means anything: of more than `USERS` the first are taken.
    seed
        Of starts and samples.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    users = users[:USERS]
    rng = np.random.default_rng(seed)
    samples = [users[rng.integers(0, len(users), len(users))] for _ in range(SAMPLES)] if len(users) else []
    fewest = min((len(np.unique(sample, axis=0)) for sample in samples), default=0)
    found = []
    with threadpool_limits(1):  # sums in one order, whatever the machine
        for k in NUMBERS:
            if k >= min(fewest, len(users[:JUDGED_USERS])):
                break
            labels = KMeans(k, n_init=STARTS, random_state=seed).fit_predict(users)
            again = [KMeans(k, n_init=STARTS, random_state=seed).fit(sample).predict(users) for sample in samples]
            judged = labels[:JUDGED_USERS]
            apart = silhouette_score(users[:JUDGED_USERS], judged) if len(np.unique(judged)) > 1 else None
            stability = float(np.mean([adjusted_rand_score(labels, other) for other in again]))
            found.append(TriedNumber(segments=k, silhouette=apart, stability=stability))
    return tuple(found)


def choose(tried: tuple[TriedNumber, ...], before: int | None) -> int:
    """The best set apart of the stable numbers, or the most stable where none is; 1 where none could be tried.

    Parameters
    ----------
    tried
        By `try_numbers`.
    before
        Number of the training before, which stays where it is as good.
    """
    stable = [row for row in tried if row.stability >= STABLE]
    if not stable:
        return max(tried, key=lambda row: row.stability).segments if tried else 1
    best = max(stable, key=_apart)
    same = next((row for row in stable if row.segments == before), best)
    return same.segments if _apart(same) > _apart(best) - AS_GOOD else best.segments


def _apart(row: TriedNumber) -> float:
    return -1.0 if row.silhouette is None else row.silhouette
