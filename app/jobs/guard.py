"""The outermost block of every command and job: a failure becomes one line and an exit code. Needs no Spark."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import EXIT_FAILED, VitrineError

EXIT_INTERRUPTED = 130  #: the code of shells for Ctrl-C


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
    known = error if isinstance(error, VitrineError) else _explained(error)
    if known is not None:
        say(f"error: {known}")
        return known.exit_code
    traceback.print_exception(error)
    say(f"error: unexpected {type(error).__name__}; this is a bug or a lost cluster, the trace above says where")
    return EXIT_FAILED


def _explained(error: Exception) -> VitrineError | None:
    try:
        from app.core.failures import explain  # reads Spark's failures, with Spark's own classes
    except ModuleNotFoundError:  # a machine that only serves has no Spark, and none of its failures
        return None
    return explain(error)


def say(line: str) -> None:
    """Show a line to people, on standard error: standard output is for results."""
    print(line, file=sys.stderr, flush=True)
