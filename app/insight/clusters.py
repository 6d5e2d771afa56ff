"""K-Means over users (Lloyd, 1982; starts of Arthur and Vassilvitskii, "k-means++", 2007), by a bounded sample of them.

Learned in the driver and not by Spark's K-Means, so that neither the number of executors nor the split of the table
decides who is in which segment; and a small shop waits a second instead of nine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.core.duck import Relation
from app.insight.how_many import choose, try_numbers
from app.insight.results import TriedNumber
from app.serve.segments import FEATURES

MOST_USERS = 50_000  #: that centroids are learned from; of more, those with the lowest hashes. They take 4 MB.
JUDGED_USERS = 5_000  #: that the silhouette is taken over: it compares each with each
STARTS = 10  #: of which the best is kept
NEAR_BEST = 0.02  #: clusters that go on from those before are kept if their squares are at most this share more


@dataclass(frozen=True)
class Clusters:
    """Centroids (k or fewer, features); how well they are set apart; and what numbers were tried, if any.

    `silhouette`: Rousseeuw (1987), -1 to 1; None where it says nothing: of one cluster, or where each user is one.
    """

    centroids: NDArray[np.float64]
    silhouette: float | None
    tried: tuple[TriedNumber, ...] = ()


def clusters(scaled: Relation, k: int | None, seed: int, before: NDArray[np.float64] | None = None) -> Clusters:
    """Find clusters.

    Parameters
    ----------
    scaled
        user_id, `FEATURES` in the model's units.
    k
        Number of clusters, fewer where there are fewer distinct users; None for as many as the data say.
    seed
        Of the starts.
    before
        Centroids of an earlier training. Of clusters that are about as good those are taken that these lead to: where
        a border lies is else decided by chance.
    """
    # Imported where it is fitted: it takes a second.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    columns = scaled.order("md5(user_id::varchar), user_id").limit(MOST_USERS).fetchnumpy()
    users = np.column_stack([columns[name] for name in FEATURES])
    distinct = len(np.unique(users, axis=0))
    with threadpool_limits(1):  # sums in one order, whatever the machine
        tried = try_numbers(users, seed) if k is None else ()
        wanted = min(choose(tried, len(before) if before is not None else None) if k is None else k, distinct)
        if wanted < 2:  # all users are alike: in the model's units they lie at 0
            return Clusters(np.zeros((1, len(FEATURES))), None, tried)
        model = KMeans(wanted, n_init=STARTS, random_state=seed).fit(users)
        if before is not None and len(before) == wanted:
            gone_on = KMeans(wanted, init=before, n_init=1).fit(users)
            model = gone_on if gone_on.inertia_ <= model.inertia_ * (1 + NEAR_BEST) else model
        of, labels = users[:JUDGED_USERS], model.labels_[:JUDGED_USERS]  # in the order of a hash: a sample
        told_apart = 1 < len(np.unique(labels)) < len(labels)
        silhouette = float(silhouette_score(of, labels)) if told_apart else None
    return Clusters(model.cluster_centers_, silhouette, tried)
