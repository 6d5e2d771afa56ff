"""Next-item recommendation in sessions, on files of public benchmarks:

    python benchmarks/sessions.py --train F --test F [--model NAME] [--exclude-current] [--validate]

Learns on the sessions of one file as training does, and asks for 20 products after each prefix of those of another:
each event after the first is the target of the prefix before it, in the training's products or not. Formats are those
of benchmarks/public_files.py; where there are no times, the file's order counts. With --exclude-current the product
just clicked is left out of the answer. With --validate the last sessions of the training file are cut off and asked in
place of the test file, which is not read: parameters are chosen by that. They are the settings
(VITRINE_SESSION_WALK_…). Without --model the answer is that of what a training would serve
(benchmarks/production.py), chosen on such a slice of what is learned from. Progress is on standard error; closes with
one JSON line.
"""

from pathlib import Path

import click
import numpy as np
from learning import Measured, Order, Queries, check_cut, measured, ordered_by, run, stages_of
from numpy.typing import NDArray
from production import order_of
from public_files import Lists, Vocabulary, read_sessions
from public_tables import tables_of
from pyspark.sql import SparkSession

from app.core.progress import Progress
from app.core.settings import Settings, load_settings
from app.evaluate.names import SESSION
from app.events.vocabulary import KINDS, VIEW
from app.learn.tables import Tables
from app.serve.ragged import NONE, Ragged
from app.serve.sessions import SessionEvents
from app.serve.visits import Touches, Visits

VALIDATION_SHARE = 0.07  #: of the sessions, the last ones
TICK = 1e-6  #: seconds between two events of a file without times: so short that all sessions weigh the same


def clicks(lists: Lists, vocabulary: Vocabulary) -> SessionEvents:
    """Views of products by number. Without times, an event's place in the file stands for its time."""
    numbers = vocabulary.numbers(lists.items)
    times = np.arange(len(numbers), dtype=np.float64) * TICK if lists.times is None else lists.times
    return SessionEvents(lists.shape, numbers, np.full(len(numbers), KINDS.index(VIEW), np.int8), times)


def whole(events: SessionEvents, settings: Settings) -> Touches:
    """What each session touched, as training folds it."""
    offsets = events.shape.offsets
    return _latest(events, offsets[:-1], offsets[1:], settings)


def queries_of(lists: Lists, vocabulary: Vocabulary, settings: Settings, exclude_current: bool) -> Queries:
    """Every prefix with its target, where the lists say so; else each event after the first of a session."""
    events = clicks(lists, vocabulary)
    if lists.targets is not None:
        starts, ends = events.shape.offsets[:-1], events.shape.offsets[1:]
        targets = vocabulary.numbers(lists.targets)
    else:
        ends = np.flatnonzero(events.shape.places() > 0)
        starts = events.shape.offsets[:-1][events.shape.rows()[ends]]
        targets = events.products[ends]
    current = events.products[ends - 1]
    left_out = Ragged.of_lengths((exclude_current & (current != NONE)).astype(np.int64))
    return Queries(
        _visits(_latest(events, starts, ends, settings), current, events.times[ends - 1]),
        list(targets.reshape(-1, 1)),
        left_out,
        current[current != NONE] if exclude_current else current[:0],
    )


def _latest(events: SessionEvents, starts: NDArray[np.int64], ends: NDArray[np.int64], settings: Settings) -> Touches:
    """The fold of events start … end - 1, within the bounds of a session; unknown products are left out."""
    starts = np.maximum(starts, ends - settings.session_max_events)
    touches = events.touches(starts, ends, settings.session_max_products)
    return touches.placed(touches.products.astype(np.int32))


def _visits(session: Touches, current: NDArray[np.int64], now: NDArray[np.float64]) -> Visits:
    n = len(session)
    nobody = np.full(n, NONE, np.int32)
    return Visits(nobody, nobody, Touches.none(n), session, current.astype(np.int32), now)


def measure(
    spark: SparkSession,
    scratch: Path,
    progress: Progress,
    train: Lists,
    test: Lists,
    model: str | None,
    exclude_current: bool,
    settings: Settings,
) -> Measured:
    """Learn on some sessions, and ask for the prefixes of others."""

    def known(lists: Lists, folder: Path) -> tuple[Vocabulary, Tables]:
        vocabulary = Vocabulary(np.unique(lists.items))
        touches = whole(clicks(lists, vocabulary), settings)
        return vocabulary, tables_of(spark, folder, vocabulary, touches, timed=True)

    def order() -> Order:
        cut = cut_of(train)
        earlier, later = train.slice(0, cut), train.slice(cut, len(train))
        check_cut(earlier, later)
        vocabulary, tables = known(earlier, scratch / "earlier")
        queries = queries_of(later, vocabulary, settings, exclude_current)
        return order_of(SESSION, tables, queries, settings, progress)

    chosen = ordered_by(model, order, settings)
    vocabulary, tables = known(train, scratch / "whole")
    queries = queries_of(test, vocabulary, settings, exclude_current)
    return measured(chosen, tables, queries, settings, progress)


def cut_of(lists: Lists) -> int:
    """Where the validation slice begins."""
    return int(len(lists) * (1 - VALIDATION_SHARE))


@click.command(help=__doc__)
@click.option("--train", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--test", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", help="Name of a generator, or reciprocal_rank; by default what production would serve.")
@click.option("--exclude-current", is_flag=True, help="Leave the product just clicked out of the answer.")
@click.option("--validate", is_flag=True, help="Ask the last sessions of the training file; read no test file.")
def main(train: Path, test: Path | None, model: str | None, exclude_current: bool, validate: bool) -> None:
    """Read, measure, print."""
    if test is None and not validate:
        raise click.UsageError("give --test a file, or --validate")
    settings = load_settings()

    def work(spark: SparkSession, scratch: Path, progress: Progress) -> Measured:
        with progress.stage("read") as stage:
            known = read_sessions(train)
            cut = cut_of(known) if validate else len(known)
            asked = known.slice(cut, len(known)) if validate or test is None else read_sessions(test)
            stage.rows = len(known)
        check_cut(known.slice(0, cut), asked)
        return measure(spark, scratch, progress, known.slice(0, cut), asked, model, exclude_current, settings)

    run("sessions", settings, work, stages_of(model))


if __name__ == "__main__":
    main()
