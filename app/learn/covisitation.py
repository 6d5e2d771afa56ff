"""Learning co-visitation: the most similar products of each product, from sessions."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.core.duck import Relation, query
from app.core.parts import part_files
from app.core.settings import Settings
from app.learn.part_rows import PartRows
from app.learn.row_batches import Rows, Work, by_workers
from app.learn.tables import Tables
from app.serve.generators.covisitation import CoVisitation
from app.serve.sparse import best_columns, only_columns, strongest_per_row

SHRINKAGE = 5.0  #: sessions added to the denominator


def fit_covisitation(tables: Tables, settings: Settings) -> CoVisitation:
    """Neighbours by position."""
    touches, folder, n = tables.touches, tables.folder / "covisitation", settings.covisitation_neighbours
    folder.mkdir()
    sessions = PartRows.write(
        tables.spark,
        len(part_files(touches)),
        lambda part: session_roots(part.read(touches)),
        tables.catalogue.product_ids,
        folder / "sessions",
    )
    work = similarities(sessions.common, sessions.squares(), tables.catalogue.available, n)
    best = best_columns(by_workers(tables.spark, sessions.products, work, folder / "similar", parts=sessions.parts), n)
    return CoVisitation(best.items, best.scores)


def session_roots(touches: Relation) -> Relation:
    """What counts of each session: product_ids, values (roots of the weights).

    The root, so that a purchase counts for more than a view, but not five-fold.
    """
    return query(
        "select product_ids, list_transform(weights, lambda weight: sqrt(weight::double)) as values from touches",
        touches=touches,
    )


def similarities(
    common: Rows, norms: NDArray[np.float64], available: NDArray[np.bool_] | None, neighbours: int
) -> Work:
    """What gives the most similar products of some products, as rows (m, p) of similarities (0 to 1).

    Parameters
    ----------
    common
        What pairs of some products with all count, of `session_roots`: `PartRows.common`.
    norms
        What each product counts with itself, how often it is touched: sum of weights (p,).
    available
        (p,): products that may be recommended, the only ones in the result; None if all may.
    neighbours
        Products kept of each.
    """

    def rows(products: NDArray[np.int64]) -> csr_matrix:
        shared = common(products).tocoo()
        other = products[shared.row] != shared.col
        row, column = shared.row[other], shared.col[other]
        # Rounded: the last bits of a floating sum depend on the order of the rows.
        sums = np.round(shared.data[other], 6)
        values = sums / (np.sqrt(norms[products[row]] * norms[column]) + SHRINKAGE)
        found = csr_matrix((values, (row, column)), shape=shared.shape)
        return strongest_per_row(only_columns(found, available), neighbours)

    return lambda: rows
