"""K-Means over users (Lloyd, 1982; starts of Arthur and Vassilvitskii, "k-means++", 2007), by a bounded sample of them.

Learned in the driver and not by Spark's K-Means, so that neither the number of executors nor the split of the table
decides who is in which segment; and a small shop waits a second instead of nine.
"""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.core.duck import Relation
from app.serve.segments import FEATURES

MOST_USERS = 50_000  #: that centroids are learned from; of more, those with the lowest hashes. They take 3 MB.
JUDGED_USERS = 5_000  #: that the silhouette is taken over: it compares each with each
STARTS = 10  #: of which the best is kept


def clusters(scaled: Relation, k: int, seed: int) -> tuple[NDArray[np.float64], float | None]:
    """Centroids, and how well the clusters are set apart.

    Parameters
    ----------
    scaled
        user_id, `FEATURES` in standardised units.
    k
        Number of clusters; fewer where there are fewer distinct users.
    seed
        Of the starts.

    Returns
    -------
    tuple
        Centroids (k or fewer, features), and the silhouette (Rousseeuw, 1987), -1 to 1; None where it says
        nothing: of one cluster, or where each user is one.
    """
    # Imported where it is fitted: it takes a second.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    columns = scaled.order("md5(user_id::varchar), user_id").limit(MOST_USERS).fetchnumpy()
    users = np.column_stack([columns[name] for name in FEATURES])
    distinct = len(np.unique(users, axis=0))
    if min(k, distinct) < 2:  # all users are alike: in standardised units they lie at 0
        return np.zeros((1, len(FEATURES))), None
    with threadpool_limits(1):  # sums in one order, whatever the machine
        model = KMeans(min(k, distinct), n_init=STARTS, random_state=seed).fit(users)
        of, labels = users[:JUDGED_USERS], model.labels_[:JUDGED_USERS]  # in the order of a hash: a sample
        told_apart = 1 < len(np.unique(labels)) < len(labels)
        silhouette = float(silhouette_score(of, labels)) if told_apart else None
    return model.cluster_centers_, silhouette
