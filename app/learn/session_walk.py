"""Learning the session walk: two linear models of sums over sessions, and walks through both.

The models are those of SLIST (Choi et al., WWW 2021), the walks those of S-Walk (Choi et al., WSDM 2022); where the
papers invert a matrix of products by products, `app.learn.local_ridge` solves a small system for each product.
"""

from scipy.sparse import csr_matrix, diags

from app.core.settings import Settings
from app.learn.local_ridge import local_ridge
from app.learn.session_sums import session_sums
from app.learn.tables import Tables
from app.learn.walks import restarts, scaled_rows, walks
from app.serve.generators.session_walk import SessionWalk
from app.serve.sparse import strongest_per_row


def fit_session_walk(tables: Tables, settings: Settings) -> SessionWalk:
    """Walks by position."""
    spark, folder = tables.spark, tables.folder / "session_walk"
    folder.mkdir()
    sums = session_sums(tables, settings, folder)
    alike = local_ridge(
        spark, sums.gram, sums.shared, settings.session_walk_ridge, settings.session_walk_neighbours, folder
    )
    follows = diags(1 / (sums.starts + settings.session_walk_ridge)) @ sums.follows
    ends = walks(
        spark,
        scaled_rows(strongest_per_row(csr_matrix(follows), settings.session_walk_width)),
        restarts(scaled_rows(alike), settings.session_walk_alike),
        settings.session_walk_onward,
        settings.session_walk_width,
        tables.catalogue.available,
        folder,
    )
    return SessionWalk(ends, settings.session_walk_decay)
