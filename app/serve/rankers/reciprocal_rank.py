"""The blend: candidates of all generators, merged by weighted reciprocal rank.

Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank
Learning Methods" (2009), with a weight for each generator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.serve.contract import NONE, Candidates, top_per_row

RANK_OFFSET = 60  #: k of the paper


@dataclass(frozen=True)
class Blended:
    """Lists: `items` (n, k) int32 with -1 where there are no more, `scores` (n, k) float32,
    `sources` (n, k) int8: position of the generator that contributed most, in the order given."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.int8]


def blend(
    parts: Mapping[str, Candidates],
    weights: Mapping[str, float],
    excluded: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    k: int,
) -> Blended:
    """Merge candidates.

    Parameters
    ----------
    parts
        Candidates by generator, for the same n users.
    weights
        Weight of each generator; one that is absent here counts nothing.
    excluded
        Rows and items (m,) that must not be in a list.
    k
        Length of a list.
    """
    names = list(parts)
    n = len(parts[names[0]].items)
    columns: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for name in names:
        row, place = np.nonzero(parts[name].items != NONE)
        columns.append((row, parts[name].items[row, place], weights.get(name, 0.0) / (RANK_OFFSET + 1 + place)))
    rows, items, scores = (np.concatenate(column) for column in zip(*columns, strict=True))
    allowed = ~np.isin(_keys(rows, items), _keys(*excluded)) & (scores > 0)
    best = top_per_row(rows[allowed], items[allowed], scores[allowed], n, k)
    return Blended(
        best.items,
        best.scores,
        _sources(best, [parts[name] for name in names], [weights.get(x, 0.0) for x in names]),
    )


def without(
    part: Candidates, excluded: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]], k: int
) -> NDArray[np.int32]:
    """The first k candidates (n, k) of one generator that are not excluded, -1 where there are no more."""
    rows = np.broadcast_to(np.arange(len(part.items))[:, None], part.items.shape)
    out = (part.items == NONE) | np.isin(_keys(rows, part.items), _keys(*excluded))
    kept_first = np.argsort(out, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(np.where(out, NONE, part.items), kept_first, axis=1)
    return np.pad(chosen, ((0, 0), (0, k - chosen.shape[1])), constant_values=NONE).astype(np.int32)


def _keys(rows: NDArray[np.integer[Any]], items: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    return rows.astype(np.int64) << 32 | items.astype(np.int64)


def _sources(best: Candidates, parts: list[Candidates], weights: list[float]) -> NDArray[np.int8]:
    contributions = np.zeros((len(parts), *best.items.shape), np.float64)
    for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        if part.items.shape[1] == 0:
            continue
        same = best.items[:, :, None] == part.items[:, None, :]
        found = same.any(axis=2)
        contributions[number] = np.where(found, weight / (RANK_OFFSET + 1 + same.argmax(axis=2)), 0.0)
    return np.where(best.items == NONE, -1, contributions.argmax(axis=0)).astype(np.int8)
