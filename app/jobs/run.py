"""What every batch job and command does around its work: session, lease, summary."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from threading import Thread
from typing import Any

from pyspark.sql import SparkSession

from app.core.folders import Output
from app.core.lease import training_lease
from app.core.settings import Settings
from app.core.spark import create_session, end_session, for_throughput
from app.events.read import check_named_files
from app.jobs.guard import say
from app.results.run import RunResult
from app.train.summary import summary_lines

#: What a training needs in the end, and what takes it a second or two to import.
NEEDED_LATER = ("app.train.run", "sklearn.cluster", "sklearn.metrics")
Work = Callable[[SparkSession, Settings, datetime, Callable[[str], Any]], RunResult]


def run_training(settings: Settings, *, as_json: bool = False) -> None:
    """Train, unless another training is at work on the same output: of two that would publish, one gives way.

    Raises
    ------
    InputError
        Another one is.
    VitrineError
        Another has taken over while this one was paused; nothing is published.
    """
    # Before OpenMP is loaded, by what is imported now: else LightGBM's threads wait by spinning, and where another
    # program has one of two cores they take longer than one thread does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from app.learn.recommender import chosen_fits  # imported here: --help must not wait for it

    def checked(spark: SparkSession, settings: Settings, now: datetime, say: Callable[[str], Any]) -> RunResult:
        from app.train.run import train  # imported while Spark started

        return train(spark, settings, now, say, lease.check)

    _check(settings)
    chosen_fits(settings)
    Output(settings.output.absolute()).prepare()
    lease = training_lease(settings.output)
    lease.acquire(wait=False, say=say)
    try:
        _run(checked, "train", settings, as_json=as_json, needed=NEEDED_LATER)
    finally:
        lease.release()


def run_batch(work: Work, name: str, settings: Settings, *, as_json: bool = False) -> None:
    """Run a batch job of that name; progress on standard error, summary on standard output."""
    _check(settings)
    _run(work, name, settings, as_json=as_json)


def _check(settings: Settings) -> None:
    """What needs no Spark to be found wrong is told before it starts, and before a folder is made."""
    if "SPARK_ENV_LOADED" not in os.environ:  # spark-submit may have set another file system
        check_named_files(settings)


@contextmanager
def imported_meanwhile(names: Sequence[str]) -> Iterator[None]:
    """Import modules while the block runs: in it another process is waited for."""

    def work() -> None:
        for name in names:
            with suppress(ImportError, OSError):  # told where the module is needed
                import_module(name)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()  # nothing is imported by two threads at once


def _run(work: Work, name: str, settings: Settings, *, as_json: bool, needed: Sequence[str] = ()) -> None:
    with imported_meanwhile(needed):
        spark = create_session(settings, f"vitrine-{name}", for_throughput())
    try:
        result = work(spark, settings, datetime.now(UTC).replace(microsecond=0), say)
    finally:
        end_session(spark)
    print(result.model_dump_json() if as_json else "\n" + "\n".join(summary_lines(result)))
