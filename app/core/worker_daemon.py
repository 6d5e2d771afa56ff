"""The daemon that starts Spark's Python workers (`spark.python.daemon.module`): Spark's own, but for a trace.

Where a task fails Spark gives up the others, and a worker that then hands over its last rows finds nobody there. The
daemon would print its stack trace among the lines for the user. By TCP such a write seems to go well.
"""

import sys
import traceback
from types import SimpleNamespace

from pyspark import daemon


def print_exc() -> None:
    """As `traceback.print_exc`, except for a pipe that the other side has left."""
    if not isinstance(sys.exception(), BrokenPipeError):
        traceback.print_exc()


if __name__ == "__main__":
    used = SimpleNamespace(print_exc=print_exc, format_exc=traceback.format_exc)
    daemon.traceback = used  # type: ignore[assignment]
    daemon.manager()
