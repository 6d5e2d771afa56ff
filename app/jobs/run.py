"""What every job and command does around its work: session, summary, errors, exit code."""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from app.core.errors import EXIT_FAILED, VitrineError
from app.core.failures import explain
from app.core.settings import Settings
from app.core.spark import create_session
from app.results.run import RunResult
from app.train.summary import summary_lines

Work = Callable[[SparkSession, Settings, datetime, Callable[[str], Any]], RunResult]


def run_batch(work: Work, settings: Settings, *, as_json: bool = False) -> int:
    """Run a batch job to its exit code; progress on standard error, summary on standard output."""

    def run() -> None:
        spark = create_session(settings, f"vitrine-{work.__name__}")
        try:
            result = work(spark, settings, datetime.now(UTC).replace(microsecond=0), say)
        finally:
            spark.stop()
        print(result.model_dump_json() if as_json else "\n" + "\n".join(summary_lines(result)))

    return guarded(run)


def guarded(run: Callable[[], None]) -> int:
    """Exit code of a piece of work; a user's mistake becomes one line on standard error."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        run()
    except VitrineError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except Exception as error:
        known = explain(error)
        if known is None:
            traceback.print_exc()
            say(
                f"error: unexpected {type(error).__name__}; this is a bug or a lost cluster, the trace above says where"
            )
            return EXIT_FAILED
        say(f"error: {known}")
        return known.exit_code
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
