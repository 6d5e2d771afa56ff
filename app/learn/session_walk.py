"""Learning the session walk: two linear models of sums over sessions, walks through both, and what is wanted lately.

The models are those of SLIST (Choi et al., WWW 2021), the walks those of S-Walk (Choi et al., WSDM 2022); where the
papers invert a matrix of products by products, `app.learn.local_ridge` solves a small system for each product.
Products that are looked at more often lately than before count more, as classes do whose prior has changed since
training (Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities",
Neural Computation 2002).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from app.core.settings import Settings
from app.learn.local_ridge import local_ridge
from app.learn.session_sums import SessionSums, session_sums
from app.learn.tables import Tables
from app.learn.walks import restarts, scaled_rows, walks
from app.serve.generators.session_walk import SessionWalk
from app.serve.sparse import canonical_rows

SHRINKAGE = 3.0  #: recent sessions added to those that a product has and to those expected


def fit_session_walk(tables: Tables, settings: Settings) -> SessionWalk:
    """Walks by position."""
    spark, folder = tables.spark, tables.folder / "session_walk"
    folder.mkdir()
    sums = session_sums(tables, settings, folder)
    alike = local_ridge(
        spark, sums.gram, sums.shared, settings.session_walk_ridge, settings.session_walk_neighbours, folder
    )
    follows = diags(1 / (sums.starts + settings.session_walk_ridge)) @ sums.follows
    trends = trends_of(sums, settings.session_walk_trend)
    available = tables.catalogue.available
    ends = walks(
        spark,
        scaled_rows(canonical_rows(csr_matrix(follows))),
        restarts(scaled_rows(alike), settings.session_walk_alike),
        settings.session_walk_onward,
        settings.session_walk_width,
        trends if available is None else trends * available,
        folder,
    )
    return SessionWalk(ends, settings.session_walk_decay)


def trends_of(sums: SessionSums, power: float) -> NDArray[np.float32]:
    """How much more each product (p,) is wanted lately: (recent sessions / those expected of all it has) ^ power."""
    share = sums.lately.sum() / (sums.held.sum() or 1.0)
    ratio = (sums.lately + SHRINKAGE) / (share * sums.held + SHRINKAGE)
    return (ratio**power).astype(np.float32)
