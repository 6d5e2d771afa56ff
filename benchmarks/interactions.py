"""Top-n recommendation for users, on files of public benchmarks:

    python benchmarks/interactions.py --train F --test F [--model NAME] [--validate]

Both files have a line `user item item …` for each user (benchmarks/public_files.py). Learns on one as training does,
and asks for 20 products for each user of the other, those of the training left out; the items of the test are the
targets, in the training's products or not. With --validate a fifth of each user's items is cut off the training file,
by a hash, and asked in place of the test file, which is not read: parameters are chosen by that. They are the settings
(VITRINE_ITEM_GRAPH_…). Without --model the answer is that of what a training would serve (benchmarks/production.py),
chosen on such a slice of what is learned from. Progress is on standard error; closes with one JSON line.
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from learning import Measured, Order, Queries, check_cut, measured, ordered_by, run, stages_of
from numpy.typing import NDArray
from production import order_of
from public_files import Lists, Vocabulary, read_interactions
from public_tables import tables_of
from pyspark.sql import SparkSession

from app.core.progress import Progress
from app.core.settings import Settings, load_settings
from app.evaluate.names import USER
from app.events.vocabulary import KINDS, VIEW
from app.learn.tables import Tables
from app.serve.ragged import NONE, Ragged
from app.serve.visits import Touches, Visits

VALIDATION_PARTS = 5  #: one of so many of a user's items

Interactions = tuple[NDArray[np.str_], Lists]


def touches_of(lists: Lists, vocabulary: Vocabulary) -> Touches:
    """Each user's products by number, without unknown ones; all count alike."""
    numbers = vocabulary.numbers(lists.items)
    n = len(numbers)
    touches = Touches(lists.shape, numbers, np.full(n, KINDS.index(VIEW), np.int8), np.ones(n, np.float32), np.zeros(n))
    return touches.placed(numbers.astype(np.int32))


def queries_of(train: Interactions, test: Interactions, vocabulary: Vocabulary) -> Queries:
    """One query for each user of the test, whose history is what the training has of that user."""
    users = Vocabulary(np.sort(train[0]))
    place = users.numbers(test[0])
    known = touches_of(train[1], vocabulary).take(np.append(np.argsort(train[0]), NONE)[place])
    n = len(known)
    nobody = np.full(n, NONE, np.int32)
    visits = Visits(place.astype(np.int32), nobody, known, Touches.none(n), nobody, np.zeros(n))
    wanted = vocabulary.numbers(test[1].items)
    return Queries(visits, np.split(wanted, test[1].shape.offsets[1:-1]), known.shape, known.products)


def cut_off(train: Interactions) -> tuple[Interactions, Interactions]:
    """The training without a fifth of each user's items, and these, chosen by a hash."""
    users, lists = train
    rows = lists.shape.rows()
    pairs = pd.Series(users[rows]) + " " + pd.Series(lists.items)
    chosen = pd.util.hash_array(pairs.to_numpy(object)) % np.uint64(VALIDATION_PARTS) == 0
    return _some(users, lists, ~chosen), _some(users, lists, chosen)


def _some(users: NDArray[np.str_], lists: Lists, kept: NDArray[np.bool_]) -> Interactions:
    shape = lists.shape.keep(kept)
    there = shape.lengths > 0
    return users[there], Lists(Ragged.of_lengths(shape.lengths[there]), lists.items[kept])


def measure(
    spark: SparkSession,
    scratch: Path,
    progress: Progress,
    train: Interactions,
    test: Interactions,
    model: str | None,
    settings: Settings,
) -> Measured:
    """Learn on some interactions, and ask for others of the same users."""

    def known(those: Interactions, folder: Path) -> tuple[Vocabulary, Tables]:
        vocabulary = Vocabulary(np.unique(those[1].items))
        by_user = touches_of(those[1], vocabulary).take(np.argsort(those[0]))
        return vocabulary, tables_of(spark, folder, vocabulary, by_user, timed=False)

    def order() -> Order:
        earlier, asked = cut_off(train)
        check_cut(earlier[0], asked[0])
        vocabulary, tables = known(earlier, scratch / "earlier")
        queries = queries_of(earlier, asked, vocabulary)
        shuffled = queries.take(np.random.default_rng(settings.seed).permutation(len(queries)))
        return order_of(USER, tables, shuffled, settings, progress)

    chosen = ordered_by(model, order, settings)
    vocabulary, tables = known(train, scratch / "whole")
    return measured(chosen, tables, queries_of(train, test, vocabulary), settings, progress)


@click.command(help=__doc__)
@click.option("--train", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--test", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", help="Name of a generator, or reciprocal_rank; by default what production would serve.")
@click.option("--validate", is_flag=True, help="Ask a fifth of the training file; read no test file.")
def main(train: Path, test: Path | None, model: str | None, validate: bool) -> None:
    """Read, measure, print."""
    if test is None and not validate:
        raise click.UsageError("give --test a file, or --validate")
    settings = load_settings()

    def work(spark: SparkSession, scratch: Path, progress: Progress) -> Measured:
        with progress.stage("read") as stage:
            known = read_interactions(train)
            if validate or test is None:
                known, asked = cut_off(known)
            else:
                asked = read_interactions(test)
            stage.rows = len(known[0])
        check_cut(known[0], asked[0])
        return measure(spark, scratch, progress, known, asked, model, settings)

    run("interactions", settings, work, stages_of(model))


if __name__ == "__main__":
    main()
