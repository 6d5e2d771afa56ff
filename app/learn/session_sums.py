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
_FOLLOWS, _COUNTS = "follows", "counts.npy"
_PRODUCTS = "products.npy"


@dataclass(frozen=True)
class SessionSums:
    """Sums over sessions, w being a session's weight and L the number of its products.

    `gram` (p, p): Σ w / L² over the sessions that have both products; `shared` (p, p): Σ w / L;
    `follows` (p, p): Σ w · exp(-(gap - 1) / decay) over those where the second comes after the first, the strongest of
    each row;
    `starts` (p,): Σ w over those where something comes after the product;
    `held` (p,): Σ w over those that have it; `lately` (p,): over the recent ones of these.
    """

    gram: csr_matrix
    shared: csr_matrix
    follows: csr_matrix
    starts: NDArray[np.float64]
    held: NDArray[np.float64]
    lately: NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """n sessions: `items` (m,) positions of products in their `shape`, the oldest first; `weights`, `recent` (n,)."""

    shape: Ragged
    items: NDArray[np.int64]
    weights: NDArray[np.float64]
    recent: NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """When the first and the last session of a log ended, in seconds since 1970."""

    first: float
    last: float

    def since(self, share: float) -> float:
        """When the last `share` of it began."""
        return self.last - share * (self.last - self.first)


def session_sums(tables: Tables, settings: Settings, folder: Path) -> SessionSums:
    """The sums, with the strongest pairs of each product alone.

    Parameters
    ----------
    tables
        Of which `touches` are the sessions.
    settings
        Age and gap at which a session and a transition count less; share of the log's length that is recent.
    folder
        An empty one, on a disk that driver and executors share.
    """
    np.save(folder / _PRODUCTS, tables.catalogue.product_ids)
    touches, number, n = tables.touches, len(part_files(tables.touches)), len(tables.catalogue)
    span, gap = _span(touches, folder), settings.session_walk_gap
    days, recent = settings.session_walk_days, settings.session_walk_recent

    def sums_of(part: Part) -> None:
        weighted = weighted_sessions(part.read(touches), span, days, recent)
        sessions = sessions_of(weighted, np.load(folder / _PRODUCTS))
        publish_part(folder / str(part.number), lambda aside: _save_sums(aside, sessions, gap, n))

    by_part(tables.spark, number, sums_of, folder)
    sessions = PartRows.joined(folder, number, n)
    stacked = by_workers(
        tables.spark, n, _strongest(sessions, settings.session_walk_width), folder / "pairs", 3 * n, number
    )
    gram, shared, follows = (csr_matrix(stacked[:, start : start + n]) for start in (0, n, 2 * n))
    starts, held, lately = np.sum([np.load(folder / str(part) / _COUNTS) for part in range(number)], axis=0)
    return SessionSums(gram, shared, follows, starts, held, lately)


def _span(touches: Path, folder: Path) -> Span | None:
    """Of all sessions; None where a log has no times."""
    with duck.connect(folder) as connection:
        ended = read_table(connection, touches).aggregate("min(times[-1]), max(times[-1])")
        ((first, last),) = ended.fetchall()
    return None if first is None else Span(first, last)


def weighted_sessions(touches: Relation, span: Span | None, days: float, recent: float) -> Relation:
    """Sessions with what they count.

    Parameters
    ----------
    touches
        product_ids, weights, times: lists of equal length, oldest first; times are null where a log has none.
    span
        Of the sessions of all parts.
    days
        Age, counted from its end, at which a session counts 1/e.
    recent
        Share of it whose sessions are recent.

    Returns
    -------
    Relation
        product_ids (list, without what was only removed from the cart, which is no interest), w: exp(-age / days), 1
        without times; recent: of them none.
    """
    age, since = ("null", "null") if span is None else (f"{span.last!r} - times[-1]", repr(span.since(recent)))
    return query(
        f"""
        select * from (
            select list_transform(
                    list_filter(list_zip(product_ids, weights), lambda touch: touch[2] > 0), lambda touch: touch[1]
                ) as product_ids,
                coalesce(exp(-({age}) / {SECONDS_PER_DAY * days!r}), 1.0)::double as w,
                coalesce(times[-1] >= {since}, false) as recent
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
    weights, recent = table["w"].to_numpy(), table["recent"].to_numpy()
    return Sessions(Ragged.of_lists(lists), items.astype(np.int64), weights, recent)


def session_rows(sessions: Sessions, n: int) -> csr_matrix:
    """The sessions by products (s, n): √w / L where a session has a product."""
    values = np.sqrt(sessions.weights) / np.maximum(sessions.shape.lengths, 1)
    entries = (values[sessions.shape.rows()], sessions.items, sessions.shape.offsets)
    return csr_matrix(entries, shape=(len(sessions.shape), n))


def transition_sums(sessions: Sessions, gap_decay: float, n: int) -> csr_matrix:
    """`follows` (n, n) of some sessions: gap after gap, as far as it counts."""
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
    return csr_matrix((values, (befores, afters)), shape=(n, n))


def product_counts(sessions: Sessions, n: int) -> NDArray[np.float64]:
    """`starts`, `held` and `lately` (3, n) of some sessions."""
    rows = sessions.shape.rows()
    counted = (sessions.shape.ages() > 0, np.ones(len(rows), np.bool_), sessions.recent[rows])
    weights = sessions.weights[rows]
    return np.stack([np.bincount(sessions.items[one], weights[one], n).astype(np.float64) for one in counted])


def _save_sums(folder: Path, sessions: Sessions, gap_decay: float, n: int) -> None:
    save_part(session_rows(sessions, n), folder)
    save_rows(folder, _FOLLOWS, transition_sums(sessions, gap_decay, n))
    np.save(folder / _COUNTS, product_counts(sessions, n))


def _strongest(sessions: PartRows, width: int) -> Work:
    """What gives rows (m, 3 n) of the three sums, of the pairs that share most, and of each product alone.

    Of what follows a product, the `width` strongest.
    """
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
            gram, shared, follows = (
                _rounded(csr_matrix(one.multiply(kept))) for one in (sums.real, sums.imag, follows)
            )
            return csr_matrix(hstack([gram, shared, strongest_per_row(follows, width)]))

        return rows

    return work


def _rounded(matrix: csr_matrix) -> csr_matrix:
    """Rounded, since the last bits of a floating sum depend on the order of the rows."""
    matrix.data = np.round(matrix.data, 6)
    return matrix
