"""What every job and command does around its work: session, summary, errors, exit code."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from app.core.errors import EXIT_FAILED, VitrineError
from app.core.failures import explain
from app.core.folders import Output
from app.core.lease import training_lease
from app.core.settings import Settings
from app.core.spark import create_session, for_throughput
from app.results.run import RunResult
from app.train.summary import summary_lines

EXIT_INTERRUPTED = 130  #: the code of shells for Ctrl-C

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
    from app.train.run import train  # imported here: --help must not wait for it

    def checked(spark: SparkSession, settings: Settings, now: datetime, say: Callable[[str], Any]) -> RunResult:
        return train(spark, settings, now, say, lease.check)

    Output(settings.output.absolute()).prepare()
    lease = training_lease(settings.output)
    lease.acquire(wait=False, say=say)
    try:
        run_batch(checked, "train", settings, as_json=as_json)
    finally:
        lease.release()


def run_batch(work: Work, name: str, settings: Settings, *, as_json: bool = False) -> None:
    """Run a batch job of that name; progress on standard error, summary on standard output."""
    spark = create_session(settings, f"vitrine-{name}", for_throughput())
    try:
        result = work(spark, settings, datetime.now(UTC).replace(microsecond=0), say)
    finally:
        spark.stop()
    print(result.model_dump_json() if as_json else "\n" + "\n".join(summary_lines(result)))


@contextmanager
def guarded() -> Iterator[None]:
    """The outermost block of a command or job: a failure in it becomes one line and an exit code.

    Only what is neither one of our errors nor a known failure of Spark or the system shows its stack
    trace, since that is a bug.

    Raises
    ------
    SystemExit
        With the exit code, after the failure was shown on standard error.
    """
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        sys.exit(_show(error))


def _show(error: Exception) -> int:
    """Show a failure; returns its exit code."""
    known = error if isinstance(error, VitrineError) else explain(error)
    if known is not None:
        say(f"error: {known}")
        return known.exit_code
    traceback.print_exception(error)
    say(f"error: unexpected {type(error).__name__}; this is a bug or a lost cluster, the trace above says where")
    return EXIT_FAILED


def say(line: str) -> None:
    """Show a line to people, on standard error: standard output is for results."""
    print(line, file=sys.stderr, flush=True)
