"""What production would serve on the data of a public file: chosen as a training chooses, on a slice cut from it.

All generators are learned from what comes before the slice. LambdaMART is learned from the first half of the slice,
where that is enough; the second half says whether it orders the lists, or one generator alone does better than all
together, or reciprocal rank serves.
"""

import numpy as np
import pyarrow as pa
from learning import Order, Proposed, Queries, all_generators, chunks, deep, proposed
from numpy.typing import NDArray

from app.core.progress import Progress
from app.core.settings import Settings
from app.evaluate.choice import choose
from app.evaluate.examples import Answered, examples_from
from app.evaluate.metrics import poisson_weights, ranking_metrics
from app.evaluate.names import ALL, NDCG_10
from app.evaluate.quality import Score, Scores
from app.evaluate.targets import ANY, Wanted
from app.learn.ranker import fit_lambdamart
from app.learn.recommender import reciprocal_rank
from app.learn.tables import Tables
from app.serve.contract import Generator
from app.serve.rankers import LambdaMART, Ranker, ReciprocalRank
from app.serve.rankers.features import Attributes
from app.train.evaluation import chosen
from app.train.ranker import MIN_EXAMPLES


def order_of(task: str, tables: Tables, queries: Queries, settings: Settings, progress: Progress) -> Order:
    """Choose.

    Parameters
    ----------
    task
        `session` or `user`: what the queries are.
    tables
        What came before the slice.
    queries
        Those of the slice, in the order in which they are asked.
    settings
        Of generators and evaluation, as of a training.
    progress
        Gets two stages.
    """
    settings, first = deep(settings, queries), reciprocal_rank(settings)
    with progress.stage("learn before the validation slice"):
        generators = all_generators(tables, settings)
    with progress.stage("choose what orders the lists") as stage:
        middle = len(queries) // 2
        earlier, later = (some(queries, *half, settings) for half in ((0, middle), (middle, len(queries))))
        learned = lesson(generators, earlier, tables, first, settings)
        tested = later if learned else some(queries, 0, len(queries), settings)
        scores = scores_of(task, generators, tested, first, learned, settings)
        choice = choose(scores)
        stage.rows = len(tested)
        stage.note = ", ".join(f"{model} {score.means(NDCG_10)[0]:.4f}" for (_, model, _), score in scores.items())
    return Order(choice.model(task), chosen(choice, first, learned) or first, choice.sentence)


def some(queries: Queries, start: int, stop: int, settings: Settings) -> Queries:
    """Of queries start … stop - 1 as many as a training asks, the same ones in every run."""
    size = min(stop - start, settings.evaluation_queries)
    picked = np.random.default_rng(settings.seed).choice(stop - start, size, replace=False)
    return queries.take(start + np.sort(picked))


def lesson(
    generators: dict[str, Generator], queries: Queries, tables: Tables, first: ReciprocalRank, settings: Settings
) -> LambdaMART | None:
    """The learned ranker; None where there is too little to learn from, or none is wanted."""
    if settings.ranker == ReciprocalRank.name or len(queries) < MIN_EXAMPLES:
        return None
    attributes, ids = Attributes.of(tables.catalogue), tables.catalogue.product_ids
    found = []
    for start, stop in chunks(queries, settings.candidates):
        asked, number = proposed(generators, queries, start, stop, settings.candidates), np.arange(start, stop)
        answered = Answered(number, np.zeros(len(number), np.int64), Wanted.of_lists(queries.targets[start:stop]))
        found.append(examples_from(asked.pool, asked.visits, answered, first, ids, attributes))
    examples = pa.concat_tables(found).combine_chunks()
    if len(np.unique(examples["query"].to_numpy())) < MIN_EXAMPLES:
        return None
    return fit_lambdamart(examples, first, tuple(generators), tables.catalogue, settings.seed)


def scores_of(
    task: str,
    generators: dict[str, Generator],
    queries: Queries,
    first: ReciprocalRank,
    learned: LambdaMART | None,
    settings: Settings,
) -> Scores:
    """Of all generators alone, and of both rankers."""
    rankers: list[Ranker] = [first] if learned is None else [first, learned]
    scores: Scores = {}
    for start, stop in chunks(queries, settings.candidates):
        asked = proposed(generators, queries, start, stop, settings.candidates)
        wanted = Wanted.of_lists(queries.targets[start:stop])
        weights = poisson_weights(np.arange(start, stop), settings.bootstrap)
        for model, lists in all_lists(asked, rankers).items():
            score = Score.of(weights, ranking_metrics(wanted.found(lists) > 0, wanted.counts(ANY)))
            key = (task, model, ALL)
            scores[key] = scores[key] + score if key in scores else score
    return scores


def all_lists(asked: Proposed, rankers: list[Ranker]) -> dict[str, NDArray[np.int64]]:
    """The lists (n, DEPTH) of each model."""
    return {ranker.name: asked.ordered(ranker) for ranker in rankers} | {
        name: asked.alone(name) for name in asked.parts
    }
