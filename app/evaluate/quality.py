"""Quality of recommenders on a test slice, measured where the queries lie.

Workers answer the queries and add up metrics under bootstrap weights; only these sums reach the
driver.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from app.evaluate.metrics import hits, interval, poisson_weights, ranking_metrics
from app.evaluate.names import ALL, BLEND, CHAMPION, COLD, CUTOFFS, METRICS, MOST_POPULAR, SEGMENT, UNSEEN, WARM
from app.evaluate.results import MetricInterval, QualityRow
from app.serve.ragged import NONE
from app.serve.recommender import Recommender, opened
from app.serve.visits import Touches, Visitors

DEPTH = max(CUTOFFS)

PARTIAL_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("model", pa.string()),
        ("slice", pa.string()),
        ("sums", pa.list_(pa.float64())),  # (replicates + 1) x (1 + metrics), row-major
        ("products", pa.list_(pa.int64())),  # distinct top 10, slice "all" only
    ]
)


@dataclass(frozen=True)
class Score:
    """Metrics of one model on one slice of queries.

    `replicates` (r + 1, 1 + metrics): summed weight and metric sums; row 0 is the sample itself.
    """

    replicates: NDArray[np.float64]
    products: set[int] = field(default_factory=set)

    @property
    def queries(self) -> int:
        return int(self.replicates[0, 0])

    def means(self, metric: str) -> NDArray[np.float64]:
        """Mean of the sample, then of each bootstrap replicate: (r + 1,)."""
        weight = np.maximum(self.replicates[:, 0], 1e-9)
        return self.replicates[:, 1 + METRICS.index(metric)] / weight

    def summary(self, metric: str) -> MetricInterval:
        means = self.means(metric)
        low, high = interval(means[1:])
        return MetricInterval(mean=float(means[0]), low=low, high=high)


Scores = dict[tuple[str, str, str], Score]  # by task, model, slice


def measure(
    queries: DataFrame, candidate: Path, champion: Path | None, champion_unseen_from: int, replicates: int
) -> Scores:
    """Ask every query of every model.

    Parameters
    ----------
    queries
        Columns of `app.evaluate.queries.session_queries`.
    candidate
        Folder of the recommender under test: its blend, each generator alone, and `most_popular`.
    champion
        Folder of the bundle in use; its blend is asked too, under the name `champion`, and the
        candidate's under `blend`, on the slices `unseen*`: queries from `champion_unseen_from`
        (seconds) on, which neither has seen.
    replicates
        Bootstrap replicates.

    Returns
    -------
    dict
        `Score` by (task, model, slice). Slices: all, warm, cold, segment:<name>, and for the
        comparison with the champion unseen, unseen:segment:<name>.
    """
    answer = _answerer(candidate, champion, champion_unseen_from, replicates)
    partials = queries.mapInArrow(answer, from_arrow_schema(PARTIAL_SCHEMA)).toArrow()
    scores: Scores = {}
    for row in partials.to_pylist():
        key = (row["task"], row["model"], row["slice"])
        sums = np.array(row["sums"]).reshape(replicates + 1, 1 + len(METRICS))
        products = set(row["products"])
        if key in scores:
            scores[key] = Score(scores[key].replicates + sums, scores[key].products | products)
        else:
            scores[key] = Score(sums, products)
    return scores


def _answerer(
    candidate: Path, champion: Path | None, unseen_from: int, replicates: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows: list[dict[str, Any]] = []
            table = pa.Table.from_batches([batch])
            for task in sorted(set(table["task"].to_pylist())):
                chosen = table.filter(pc.equal(table["task"], task))
                rows += _partials(task, chosen, candidate, champion, unseen_from, replicates)
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=PARTIAL_SCHEMA)

    return answer


def _partials(
    task: str, table: pa.Table, candidate: Path, champion: Path | None, unseen_from: int, replicates: int
) -> list[dict[str, Any]]:
    asked_at = table["asked_at"].to_numpy()
    visitors = Visitors.of(table["user_id"].to_numpy(), asked_at.astype(np.float64), Touches.of_table(table))
    relevant = [np.array(row, np.int64) for row in table["relevant"].to_pylist()]
    weights = poisson_weights(table["query"].to_numpy(), replicates)
    slices = _slices(table["segment"].to_pylist())
    later = asked_at >= unseen_from
    unseen = {f"{UNSEEN}{'' if name == ALL else ':' + name}": rows & later for name, rows in slices.items()}
    rows = []
    for model, lists in _all_lists(visitors, candidate, champion).items():
        values = ranking_metrics(hits(lists, relevant), np.array([len(row) for row in relevant]))
        wanted = slices if model != CHAMPION else {}
        if champion is not None and model in (BLEND, CHAMPION):
            wanted = wanted | unseen
        for name, chosen in wanted.items():
            if chosen.any():
                sums = weights[chosen].T @ np.column_stack([np.ones(chosen.sum()), values[chosen]])
                top = np.unique(lists[:, :10]) if name == ALL else np.empty(0, np.int64)
                products = top[top != NONE].tolist()
                rows.append({"task": task, "model": model, "slice": name, "sums": sums.ravel(), "products": products})
    return rows


def _slices(segments: list[str | None]) -> dict[str, NDArray[np.bool_]]:
    known = np.array([name is not None for name in segments])
    named = np.array([name or "" for name in segments])
    by_segment = {f"{SEGMENT}{name}": named == name for name in sorted(set(named[known]))}
    return {ALL: np.ones(len(segments), np.bool_), WARM: known, COLD: ~known} | by_segment


def _all_lists(visitors: Visitors, candidate: Path, champion: Path | None) -> dict[str, NDArray[np.int64]]:
    """Product ids (n, DEPTH) of every model."""
    recommender = opened(candidate)
    answer = recommender.recommend(visitors, DEPTH)
    lists = {BLEND: _ids(recommender, answer.lists.items)}
    alone = answer.parts | {MOST_POPULAR: recommender.most_popular(len(visitors))}
    for name, part in alone.items():
        lists[name] = _ids(recommender, answer.exclusions.first_allowed(part, DEPTH))
    if champion is not None:
        other = opened(champion)
        lists[CHAMPION] = _ids(other, other.recommend(visitors, DEPTH).lists.items)
    return lists


def _ids(recommender: Recommender, items: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.where(items == NONE, NONE, recommender.catalogue.product_ids[items])


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
        )
        for (task, model, name), score in sorted(scores.items())
        if not name.startswith(UNSEEN)
    )
