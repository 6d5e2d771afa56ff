"""Sums over sessions that the session walk learns from: part by part, then a block of products at a time.

Nothing is joined and nothing shuffled: within a part, pairs of products are a product of sparse matrices.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table
from app.core.settings import Settings
from app.learn.part_rows import PartRows, publish_part, save_part
from app.learn.row_batches import Rows, Work, by_workers
from app.learn.tables import Tables
from app.serve.catalogue import positions
from app.serve.ragged import Ragged
from app.serve.sparse import load_rows, save_rows, strongest_per_row

SECONDS_PER_DAY = 86_400
PAIRS = 300  #: strongest pairs kept of a product: a small system asks for those between its neighbours as well
NOTHING = 1e-9  #: a transition that weighs less is left out
_FOLLOWS, _STARTS = "follows", "starts.npy"
_PRODUCTS = "products.npy"


@dataclass(frozen=True)
class SessionSums:
    """Sums over sessions, w being a session's weight and L the number of its products.

    `gram` (p, p): Σ w / L² over the sessions that have both products; `shared` (p, p): Σ w / L;
    `follows` (p, p): Σ w · exp(-(gap - 1) / decay) over those where the second comes after the first;
    `starts` (p,): Σ w over those where something comes after the product.
    """

    gram: csr_matrix
    shared: csr_matrix
    follows: csr_matrix
    starts: NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """n sessions: `items` (m,) positions of the products in their `shape`, the oldest first; `weights` (n,)."""

    shape: Ragged
    items: NDArray[np.int64]
    weights: NDArray[np.float64]


def session_sums(tables: Tables, settings: Settings, folder: Path) -> SessionSums:
    """The sums, with the strongest pairs of each product alone.

    Parameters
    ----------
    tables
        Of which `touches` are the sessions.
    settings
        Age and gap at which a session and a transition count less.
    folder
        An empty one, on a disk that driver and executors share.
    """
    np.save(folder / _PRODUCTS, tables.catalogue.product_ids)
    touches, number, n = tables.touches, len(part_files(tables.touches)), len(tables.catalogue)
    latest, days, gap = _latest(touches, folder), settings.session_walk_days, settings.session_walk_gap

    def sums_of(part: Part) -> None:
        sessions = sessions_of(weighted_sessions(part.read(touches), latest, days), np.load(folder / _PRODUCTS))
        publish_part(folder / str(part.number), lambda aside: _save_sums(aside, sessions, gap, n))

    by_part(tables.spark, number, sums_of, folder)
    sessions = PartRows.joined(folder, number, n)
    stacked = by_workers(tables.spark, n, _strongest(sessions), folder / "pairs", 3 * n, number)
    gram, shared, follows = (csr_matrix(stacked[:, start : start + n]) for start in (0, n, 2 * n))
    starts = np.sum([np.load(folder / str(part) / _STARTS) for part in range(number)], axis=0)
    return SessionSums(gram, shared, follows, starts)


def _latest(touches: Path, folder: Path) -> float | None:
    """When the latest session ended, in seconds since 1970; None where a log has no times."""
    with duck.connect(folder) as connection:
        ((latest,),) = read_table(connection, touches).aggregate("max(times[-1])").fetchall()
    return latest


def weighted_sessions(touches: Relation, latest: float | None, days: float) -> Relation:
    """Sessions with what they count.

    Parameters
    ----------
    touches
        product_ids, weights, times: lists of equal length, oldest first; times are null where a log has none.
    latest
        When the latest session of all parts ended.
    days
        Age, counted from that, at which a session counts 1/e.

    Returns
    -------
    Relation
        product_ids (list, without what was only removed from the cart, which is no interest), w: exp(-age / days), 1
        without times.
    """
    age = "null" if latest is None else f"({latest!r} - times[-1]) / {SECONDS_PER_DAY * days!r}"
    return query(
        f"""
        select * from (
            select list_transform(
                    list_filter(list_zip(product_ids, weights), lambda touch: touch[2] > 0), lambda touch: touch[1]
                ) as product_ids,
                coalesce(exp(-({age})), 1.0)::double as w
            from touches
        ) where len(product_ids) > 0
        """,
        touches=touches,
    )


def sessions_of(weighted: Relation, product_ids: NDArray[np.int64]) -> Sessions:
    """From `weighted_sessions`, with the place of each product among `product_ids` (p,), sorted."""
    table: pa.Table = weighted.to_arrow_table()
    lists = table["product_ids"].combine_chunks()
    items = positions(product_ids, lists.flatten().to_numpy())
    return Sessions(Ragged.of_lists(lists), items.astype(np.int64), table["w"].to_numpy())


def session_rows(sessions: Sessions, n: int) -> csr_matrix:
    """The sessions by products (s, n): √w / L where a session has a product."""
    values = np.sqrt(sessions.weights) / np.maximum(sessions.shape.lengths, 1)
    entries = (values[sessions.shape.rows()], sessions.items, sessions.shape.offsets)
    return csr_matrix(entries, shape=(len(sessions.shape), n))


def transition_sums(sessions: Sessions, gap_decay: float, n: int) -> tuple[csr_matrix, NDArray[np.float64]]:
    """`follows` (n, n) and `starts` (n,) of some sessions: gap after gap, as far as it counts."""
    rows, items, ages = sessions.shape.rows(), sessions.items, sessions.shape.ages()
    weights = sessions.weights[rows]
    found = [(weights[:0], items[:0], items[:0])]
    for gap in range(1, int(ages.max(initial=0)) + 1):
        factor = np.exp(-(gap - 1) / gap_decay)
        if factor < NOTHING:
            break
        before = np.flatnonzero(ages >= gap)
        found.append((weights[before] * factor, items[before], items[before + gap]))
    values, befores, afters = (np.concatenate(column) for column in zip(*found, strict=True))
    onward = ages > 0
    starts = np.bincount(items[onward], weights[onward], n).astype(np.float64)
    return csr_matrix((values, (befores, afters)), shape=(n, n)), starts


def _save_sums(folder: Path, sessions: Sessions, gap_decay: float, n: int) -> None:
    follows, starts = transition_sums(sessions, gap_decay, n)
    save_part(session_rows(sessions, n), folder)
    save_rows(folder, _FOLLOWS, follows)
    np.save(folder / _STARTS, starts)


def _strongest(sessions: PartRows) -> Work:
    """What gives rows (m, 3 n) of the three sums, of the pairs that share most, and of each product alone."""
    n = sessions.products

    def work() -> Rows:
        whole = sessions.rows()
        lengths = np.diff(whole.indptr)
        each_follows = [load_rows(sessions.folder / str(part), _FOLLOWS, n) for part in range(sessions.parts)]

        def rows(products: NDArray[np.int64]) -> csr_matrix:
            mine = sessions.columns(products)
            # One product for both sums, √w / L of a session twice and once with L: `gram` is its real part.
            mine.data = mine.data * (1 + 1j * lengths[mine.indices])
            sums = csr_matrix(mine @ whole)
            own = csr_matrix((np.ones(len(products)), (np.arange(len(products)), products)), shape=(len(products), n))
            kept = strongest_per_row(csr_matrix(sums.imag - sums.imag.multiply(own)), PAIRS).sign() + own
            follows = sum((follows[products] for follows in each_follows), csr_matrix(kept.shape))
            three = (sums.real, sums.imag, follows)
            return csr_matrix(hstack([_rounded(csr_matrix(one.multiply(kept))) for one in three]))

        return rows

    return work


def _rounded(matrix: csr_matrix) -> csr_matrix:
    """Rounded, since the last bits of a floating sum depend on the order of the rows."""
    matrix.data = np.round(matrix.data, 6)
    return matrix
