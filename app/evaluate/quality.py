"""Quality of recommenders on a test slice, measured where the queries lie.

Workers answer the queries and add up metrics under bootstrap weights; only these sums reach the
driver.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.evaluate.metrics import interval, poisson_weights, ranking_metrics
from app.evaluate.names import (
    ALL,
    BLEND,
    CHAMPION,
    COLD,
    CUTOFFS,
    METRICS,
    MOST_POPULAR,
    RECIPROCAL_RANK,
    SEGMENT,
    SESSION,
    UNSEEN,
    USER,
    WARM,
)
from app.evaluate.queries import StoredQueries
from app.evaluate.results import MetricInterval, QualityRow
from app.evaluate.targets import ANY, BITS, Wanted, target_slice
from app.evaluate.variety import Variety
from app.events.vocabulary import PURCHASE
from app.serve.ragged import NONE
from app.serve.rankers import LambdaMART
from app.serve.recommender import Recommender, opened
from app.serve.visits import Touches, Visitors

DEPTH = max(CUTOFFS)
PARTIAL_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("model", pa.string()),
        ("slice", pa.string()),
        ("sums", pa.list_(pa.float64())),  # (replicates + 1) x (1 + metrics), row-major
        # Of the top 10, slice "all" only: distinct products; sum of novelty and its number of lists, likewise diversity
        ("products", pa.list_(pa.int64())),
        ("novelty", pa.list_(pa.float64())),
        ("diversity", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True)
class Score:
    """Metrics of one model on one slice of queries.

    `replicates` (r + 1, 1 + metrics): summed weight and metric sums; row 0 is the sample itself. `products`: distinct
    ones of the top 10; `novelty`, `diversity` (2,): sum over the lists that have it, and their number.
    """

    replicates: NDArray[np.float64]
    products: set[int] = field(default_factory=set)
    novelty: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    diversity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def of(cls, weights: NDArray[np.float64], values: NDArray[np.float64]) -> "Score":
        """From bootstrap weights (n, r + 1) and metrics (n, metrics) of n queries."""
        return cls(weights.T @ np.column_stack([np.ones(len(values)), values]))

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.replicates + other.replicates,
            self.products | other.products,
            self.novelty + other.novelty,
            self.diversity + other.diversity,
        )

    @property
    def queries(self) -> int:
        return int(self.replicates[0, 0])

    def means(self, metric: str) -> NDArray[np.float64]:
        """Mean of the sample, then of each bootstrap replicate: (r + 1,)."""
        weight = np.maximum(self.replicates[:, 0], 1e-9)
        return self.replicates[:, 1 + METRICS.index(metric)] / weight

    def summary(self, metric: str) -> MetricInterval:
        return _summary(self.means(metric))

    def difference(self, other: "Score", metric: str) -> MetricInterval:
        """By how much it is better than another model on the same queries: the paired bootstrap."""
        return _summary(self.means(metric) - other.means(metric))


def _summary(replicated: NDArray[np.float64]) -> MetricInterval:
    low, high = interval(replicated[1:])
    return MetricInterval(mean=float(replicated[0]), low=low, high=high)


Scores = dict[tuple[str, str, str], Score]  # by task, model, slice


def measure(
    queries: StoredQueries,
    since: int,
    candidate: Path,
    champion: Path | None,
    champion_unseen_from: int,
    replicates: int,
    learned: Path | None = None,
) -> Scores:
    """Ask every query of every model.

    Parameters
    ----------
    queries, since
        The sample of those that are asked from a moment on (seconds).
    candidate
        Folder of the recommender under test: its blend, each generator alone, and `most_popular`.
    champion
        Folder of the bundle in use; its blend is asked too, under the name `champion`, and the
        candidate's under `blend`, on the slices `unseen*`: queries from `champion_unseen_from`
        (seconds) on, which neither has seen.
    replicates
        Bootstrap replicates.
    learned
        Folder of a ranker learned for the candidate. The candidate's list is then filed twice, under the name of its
        own ranker and of this one, in place of `blend`: `served` adds that.

    Returns
    -------
    dict
        `Score` by (task, model, slice). Slices: all, warm, cold, segment:<name>, target:<name> (the queries that have
        such a target, asked for it alone), and for the comparison with the champion unseen, unseen:segment:<name>,
        unseen:target:purchase.
    """
    answer = _answerer(_Asked(candidate, champion, learned), champion_unseen_from, replicates)
    partials = queries.ask(answer, PARTIAL_SCHEMA, since)
    scores: Scores = {}
    for row, found in zip(partials.drop_columns(["sums"]).to_pylist(), partials["sums"], strict=True):
        key = (row["task"], row["model"], row["slice"])
        sums = found.values.to_numpy().reshape(replicates + 1, 1 + len(METRICS))
        score = Score(sums, set(row["products"]), np.array(row["novelty"]), np.array(row["diversity"]))
        scores[key] = scores[key] + score if key in scores else score
    return scores


def served(scores: Scores, by: Mapping[str, str]) -> Scores:
    """Scores with those of what serves as `blend`: in these tasks of the models named, else of reciprocal rank.

    Those of reciprocal rank stay under its own name.
    """
    first = {(task, RECIPROCAL_RANK, name): one for (task, model, name), one in scores.items() if model == BLEND}
    named = first | scores
    return named | {
        (task, BLEND, name): one for (task, model, name), one in named.items() if model == by.get(task, RECIPROCAL_RANK)
    }


@dataclass(frozen=True)
class _Asked:
    """Folders of the recommender under test, of the bundle in use, and of a ranker learned for the first."""

    candidate: Path
    champion: Path | None
    learned: Path | None

    def lists(self, visitors: Visitors, task: str) -> dict[str, NDArray[np.int64]]:
        """Product ids (n, DEPTH) of every model."""
        recommender = opened(self.candidate)
        answer = recommender.recommend(visitors, DEPTH)
        items = {BLEND: answer.lists.items}
        if self.learned is not None:
            ranker = _opened_ranker(self.learned, self.candidate, task)
            items = {recommender.ranker.name: answer.lists.items}
            items[ranker.name] = ranker.rank(answer.pool, answer.visits, DEPTH).items
        alone = answer.parts | {MOST_POPULAR: recommender.most_popular(len(visitors))}
        items |= {name: answer.exclusions.first_allowed(part, DEPTH) for name, part in alone.items()}
        lists = {name: _ids(recommender, one) for name, one in items.items()}
        if self.champion is not None:
            other = opened(self.champion)
            lists[CHAMPION] = _ids(other, other.recommend(visitors, DEPTH).lists.items)
        return lists


@lru_cache(maxsize=4)
def _opened_ranker(folder: Path, candidate: Path, task: str) -> LambdaMART:
    recommender = opened(candidate)
    return only_in([task], LambdaMART.load(folder, recommender.catalogue, list(recommender.generators)))


def only_in(tasks: Collection[str], ranker: LambdaMART) -> LambdaMART:
    """The ranker, ordering the lists of these tasks alone."""
    return replace(ranker, in_sessions=SESSION in tasks, elsewhere=USER in tasks)


def _answerer(models: _Asked, unseen_from: int, replicates: int) -> Callable[[pa.Table], pa.Table]:
    def answer(table: pa.Table) -> pa.Table:  # of one task
        rows = _partials(table["task"][0].as_py(), table, models, unseen_from, replicates)
        return pa.Table.from_pylist(rows, schema=PARTIAL_SCHEMA)

    return answer


@dataclass(frozen=True)
class _Slice:
    """Which queries (n,) it holds, and the bit of the products that they are asked for."""

    rows: NDArray[np.bool_]
    target: int = ANY


def _partials(task: str, table: pa.Table, models: _Asked, unseen_from: int, replicates: int) -> list[dict[str, Any]]:
    asked_at = table["asked_at"].to_numpy()
    visitors = Visitors.of(table["user_id"].to_numpy(), asked_at.astype(np.float64), Touches.of_table(table))
    wanted = Wanted.of(table)
    weights = poisson_weights(table["query"].to_numpy(), replicates)
    slices = _slices(table["segment"].to_pylist(), wanted)
    unseen = _unseen(slices, asked_at >= unseen_from)
    variety = Variety.of(opened(models.candidate).catalogue)
    rows = []
    for model, lists in models.lists(visitors, task).items():
        found = wanted.found(lists)
        chosen = slices if model != CHAMPION else {}
        if models.champion is not None and model != MOST_POPULAR:
            chosen = chosen | unseen
        for name, one in chosen.items():
            if one.rows.any():
                hit, relevant = found[one.rows] & one.target > 0, wanted.counts(one.target)[one.rows]
                top = variety.top_10(lists) if name == ALL else _NO_TOP_10
                sums = Score.of(weights[one.rows], ranking_metrics(hit, relevant)).replicates.ravel()
                rows.append({"task": task, "model": model, "slice": name, "sums": sums} | top)
    return rows


def _slices(segments: list[str | None], wanted: Wanted) -> dict[str, _Slice]:
    known = np.array([name is not None for name in segments])
    named = np.array([name or "" for name in segments])
    of_users = {ALL: np.ones(len(segments), np.bool_), WARM: known, COLD: ~known}
    of_users |= {f"{SEGMENT}{name}": named == name for name in sorted(set(named[known]))}
    by_target = {target_slice(name): _Slice(wanted.counts(bit) > 0, bit) for name, bit in BITS.items()}
    return {name: _Slice(rows) for name, rows in of_users.items()} | by_target


def _unseen(slices: dict[str, _Slice], later: NDArray[np.bool_]) -> dict[str, _Slice]:
    """What the gate compares: everybody, warm and cold, each segment, and the purchases of all."""
    compared = {name: one for name, one in slices.items() if one.target == ANY or name == target_slice(PURCHASE)}
    return {
        f"{UNSEEN}{'' if name == ALL else ':' + name}": _Slice(one.rows & later, one.target)
        for name, one in compared.items()
    }


_NO_TOP_10: dict[str, Any] = {"products": [], "novelty": [0.0, 0.0], "diversity": [0.0, 0.0]}


def _ids(recommender: Recommender, items: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.where(items == NONE, NONE, recommender.catalogue.product_ids[items])


def _mean_of_lists(sum_and_count: NDArray[np.float64]) -> float | None:
    total, lists = sum_and_count
    return float(total / lists) if lists else None


def quality_rows(scores: Scores, catalogue: int) -> tuple[QualityRow, ...]:
    """The table people read: one row per task, model and slice, each metric with its interval.

    Parameters
    ----------
    scores
        From `measure`.
    catalogue
        Number of products, of which `coverage_10` is the share that stands in some top 10.
    """
    return tuple(
        QualityRow(
            task=task,
            model=model,
            slice=name,
            queries=score.queries,
            metrics={metric: score.summary(metric) for metric in METRICS},
            coverage_10=len(score.products) / catalogue if name == ALL else None,
            novelty_10=_mean_of_lists(score.novelty),
            diversity_10=_mean_of_lists(score.diversity),
        )
        for (task, model, name), score in sorted(scores.items())
        if not name.startswith(UNSEEN)
    )
